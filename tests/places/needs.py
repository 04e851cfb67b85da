"""What a case needs of the machine: without it, a person's run skips the case in one line, and CI's run fails."""

import os
import shutil
from typing import NoReturn

import pytest


def needs_root() -> None:
    """Mounts, network namespaces and other users can be made by root alone."""
    if os.geteuid() != 0:
        lacks("root")


def needs_tool(name: str) -> str:
    """The path of the program."""
    return shutil.which(name) or lacks(name)


def lacks(what: str) -> NoReturn:
    """Skip, or fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have what this case needs: {what}")
    pytest.skip(f"needs {what}")

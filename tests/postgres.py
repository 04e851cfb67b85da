"""A PostgreSQL server for tests."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from harness import postgres
from harness.postgres import PostgresServer
from harness.service import StartError

__all__ = ["PostgresServer", "running_server"]


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A running server, for as long as this lasts; without PostgreSQL the test is skipped, but fails in CI."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres.running_server())
        except StartError as missing:
            if os.environ.get("CI"):
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        yield server

"""A person's shell does not change what make does, but by the variables that docs/settings.md names."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from set_up.registry import PIP
from tests.places.clones import OF_AN_OUTER_MAKE, ROOT, make

SETTINGS = (ROOT / "docs/settings.md").read_text()
SET_BY_MAKE = {"RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "no_proxy", "NO_PROXY", "SHELL", "PWD", *OF_AN_OUTER_MAKE}
MAKES_OWN = {"MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES"}
OWN_VARIABLES = {
    "HOST": "0.0.0.0",  # noqa: S104 (nothing listens)
    "PORT": "tcp://10.0.0.1:80", "METRICS_PORT": "x", "CPUS": "0-3", "NAME": "wsl",
    "API_KEYS_FILE": "/nowhere", "STATE": "/nowhere",
    "QUICK": "1", "ONLY": "row", "RECORD": "1", "ROUNDS": "1", "ARGS": "--help", "SECONDS": "1", "PROXY": "default",
    "PEERS": "all", "RESUME": "1", "PYTHON": "/nowhere/python", "EXAMPLES": "1", "LOCK_FOLDER": "/nowhere",
    "BIN": "/bin", "INSTALLED": "x", "AUDIT": "x", "SET_UP": "false", "COMPILE": "false",
    "LAUNCH_OPTIONS": "--help", "quoted": "x",
}  # fmt: skip
OTHERS = {
    "PIP_USER": "yes", "PIP_TARGET": "/nowhere", "UV_OFFLINE": "1", "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere",
    "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error", "LC_ALL": "tr_TR.ISO-8859-9", "LANG": "C", "BASH_ENV": "/nowhere",
    "ENV": "/nowhere", "CDPATH": "/", "GREP_OPTIONS": "-v", "LD_PRELOAD": "", "RAY_ADDRESS": "auto", "MALLOC_CONF": "x",
    "RAY_AUTH_MODE": "disabled", "GIT_DIR": "/nowhere", "VIRTUAL_ENV": "/nowhere", "PYTEST_ADDOPTS": "--help",
    "BASH_FUNC_python3%%": "() { false; }", "a$b": "$(HOST)", "P(x86)": "1", "LINES": "two\nlines",
}  # fmt: skip


def named_by_the_page() -> set[str]:
    names = SETTINGS.partition("## The environment of make\n")[2].partition("\n\n- ")[2].partition("\n\n")[0]
    return set(re.findall(r"`([A-Za-z_]+\*?)`", names))


def shown_by(clone: Path, folder: Path, *arguments: str, **variables: str) -> set[str]:
    """The names of the variables that a command of make has."""
    (folder / "shown.mk").write_text("include Makefile\nshown:\n\t@env -0\n")
    done = make(clone, *arguments, "-f", str(folder / "shown.mk"), "shown", **variables)
    assert done.returncode == 0, done.stdout
    return {entry.partition("=")[0] for entry in done.stdout.split("\0") if entry}


def test_the_page_names_what_the_makefile_takes() -> None:
    found = re.search(r"^FROM_SHELL := (.*?[^\\])$", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    names = {name.replace("%", "*") for name in found[1].replace("\\", " ").split()}
    assert names | MAKES_OWN == named_by_the_page()


def test_pips_files_may_say_what_its_variables_may() -> None:
    names = {f"PIP_{key.upper().replace('-', '_')}" for key in PIP}
    assert names | {"PIP_CONFIG_FILE"} == {name for name in named_by_the_page() if name.startswith("PIP_")}


@pytest.mark.parametrize("option", ["--no-print-directory", "--environment-overrides"])
def test_commands_get_the_variables_that_the_page_names_and_no_others(tmp_path: Path, option: str) -> None:
    named = {name.replace("*", "X") for name in named_by_the_page() if name not in os.environ} - MAKES_OWN
    shown = shown_by(ROOT, tmp_path, option, **dict.fromkeys(named, "x"), **OWN_VARIABLES, **OTHERS)
    assert named <= shown
    allowed = {re.sub(r"\\\*$", ".*", re.escape(name)) for name in named_by_the_page()}
    assert {name for name in shown - SET_BY_MAKE if not re.fullmatch("|".join(allowed), name)} == set()


@pytest.mark.parametrize(
    "target", ["serve", "key", "demo", "bench", "simulate", "test", "chaos", "soak", "fuzz", "lock"]
)
def test_a_target_does_the_same_in_every_shell(target: str) -> None:
    plain = make(ROOT, "--dry-run", "--always-make", target)
    assert plain.returncode == 0
    assert make(ROOT, "--dry-run", "--always-make", target, **OWN_VARIABLES, **OTHERS).stdout == plain.stdout


def test_on_its_command_line_a_variable_counts() -> None:
    done = make(ROOT, "--dry-run", "serve", "HOST=h st", "API_KEYS_FILE=it's", "STATE=a b", PORT="1")
    _, _, options = done.stdout.splitlines()[-1].partition("deployments.launch")
    assert shlex.split(options) == ["--host", "h st", "--api-keys-file", "it's", "--state", "a b"]


def test_make_help_needs_no_environment() -> None:
    done = subprocess.run(
        ["env", "-i", f"PATH={os.defpath}", "make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "make serve " in done.stdout

"""The environment is whole after any one make, whatever happened to it before, or one line says why it is not."""

import configparser
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.processes import wait_until
from tests.places.clones import ROOT, SET_UP_SECONDS, clone_to, make, missing_files, shell, site_packages, start_make
from tests.places.needs import needs_root, needs_tool
from tests.places.test_shell import OTHERS, OWN_VARIABLES

INSTALLED = ".venv/.installed"
ODD_NAME = 'it\'s (my) "pröject" & $HOME; #1 %41 ?*[x]'
HOSTILE_PIP = {"user": "yes", "require-virtualenv": "yes", "target": "/nowhere", "no-binary": ":all:", "quiet": "3"}
HOSTILE_UV = 'exclude-newer = "2020-01-01T00:00:00Z"\noffline = true\nno-binary = true\n'
HOSTILE_SWITCHES = {
    "PIP_REQUIRE_VIRTUALENV": "1", "PIP_CONSTRAINT": "/nowhere", "PIP_PREFIX": "/nowhere", "PIP_NO_BINARY": ":all:",
    "UV_SYSTEM_PYTHON": "1", "UV_NO_BINARY": "1", "UV_CONSTRAINT": "/nowhere", "UV_EXCLUDE_NEWER": "2020-01-01",
    "UV_PROJECT_ENVIRONMENT": "/nowhere", "UV_REQUIRE_HASHES": "0", "PYTHONOPTIMIZE": "2", "PYTHONINSPECT": "1",
    "PYTHONDEVMODE": "1", "PYTHONSTARTUP": "/nowhere", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "",
}  # fmt: skip


def hostile_home(folder: Path) -> dict[str, str]:
    """A home whose pip and uv are told to do everything else; where the registry is stays as it is."""
    old, new = Path.home(), folder / "home"
    pip = configparser.RawConfigParser()
    pip.read(old / ".config/pip/pip.conf")
    uv = old / ".config/uv/uv.toml"
    for name in ("pip", "uv"):
        (new / ".config" / name).mkdir(parents=True)
    pip.read_dict({"global": HOSTILE_PIP})
    with (new / ".config/pip/pip.conf").open("w") as file:
        pip.write(file)
    (new / ".config/uv/uv.toml").write_text(HOSTILE_UV + (uv.read_text() if uv.exists() else ""))
    return {"HOME": str(new), "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(old / ".cache/uv")}


@pytest.mark.timeout(2 * SET_UP_SECONDS)
def test_the_set_up_works_in_any_folder_and_under_any_switches(tmp_path: Path) -> None:
    clone = clone_to(tmp_path / ODD_NAME)
    hostile = hostile_home(tmp_path) | OWN_VARIABLES | OTHERS | HOSTILE_SWITCHES
    done = make(clone, INSTALLED, **hostile)
    assert done.returncode == 0, done.stdout
    assert missing_files(clone) == []
    assert "  alice:" in make(clone, "key", "NAME=alice", **hostile).stdout
    checked = make(clone, "check", **hostile)
    assert checked.returncode == 0, checked.stdout


def interrupt(clone: Path, number: signal.Signals, packages: int) -> str:
    """Begin a set-up and send the group a signal when so many packages have begun to be installed; what was said."""
    begun = start_make(clone, INSTALLED)
    wait_until(lambda: len(list(site_packages(clone).glob("*"))) >= packages, SET_UP_SECONDS, "packages come")
    os.killpg(begun.pid, number)
    said, _ = begun.communicate(timeout=30)
    assert begun.returncode != 0
    assert not (clone / INSTALLED).exists()
    return said


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone_to(tmp_path_factory.mktemp("set-up") / "clone")


@pytest.mark.timeout(2 * SET_UP_SECONDS)
def test_an_interrupted_set_up_is_begun_anew(clone: Path) -> None:
    assert "interrupted: the next make starts it again" in interrupt(clone, signal.SIGINT, packages=14)
    interrupt(clone, signal.SIGKILL, packages=40)
    done = make(clone, INSTALLED)
    assert done.returncode == 0, done.stdout
    assert "making it again" in done.stdout
    assert missing_files(clone) == []


def is_noticed(clone: Path) -> bool:
    return "set_up base" in make(clone, "--dry-run", "serve").stdout


@pytest.mark.timeout(2 * SET_UP_SECONDS)
def test_a_moved_clone_heals_and_two_makes_at_once_do_it_once(clone: Path) -> None:
    assert not is_noticed(clone)
    moved = clone.rename(clone.with_name("moved"))
    both = [start_make(moved, INSTALLED) for _ in range(2)]
    said = [process.communicate(timeout=SET_UP_SECONDS)[0] for process in both]
    moved.rename(clone)
    assert [process.returncode for process in both] == [0, 0], said
    assert ["another make is setting up .venv: waiting for it ...\n" in text for text in said] in (
        [True, False],
        [False, True],
    )
    assert is_noticed(clone)  # it is where it was, and .venv is not any more
    clone.rename(moved)
    assert not is_noticed(moved)
    assert missing_files(moved) == []
    python = moved / ".venv/bin/python"
    real = python.readlink()
    for elsewhere in ("/nowhere/python3", "/bin/sh"):
        python.unlink()
        python.symlink_to(elsewhere)
        assert is_noticed(moved)
    python.unlink()
    python.symlink_to(real)
    assert not is_noticed(moved)


OLD = "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[2])"
"""A Python that says it is 3.9."""


def test_a_python_that_is_too_old_gives_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[2])" "$@"\n'
    )
    old.chmod(0o755)
    done = make(clone_to(tmp_path / "clone"), "serve", f"PYTHON={old}")
    line, *rest = done.stdout.splitlines()
    assert line == f"error: Python 3.11 or newer is needed, but {old} is 3.9: make PYTHON=python3.12"
    assert len(rest) == 1  # make's own


def test_a_python_without_ensurepip_gives_one_line(tmp_path: Path) -> None:
    needs_root()
    unshare = needs_tool("unshare")
    clone = clone_to(tmp_path / "clone")
    python = Path(sys.executable).resolve()
    folder = subprocess.run(
        [python, "-c", "import ensurepip; print(*ensurepip.__path__)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    script = f"mount -t tmpfs none {folder} && exec make serve PYTHON={python}"
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", script], cwd=clone, env=shell(), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    error = f"error: Python's venv module is incomplete (Debian, Ubuntu: apt install python{version}-venv)"
    assert done.stdout.splitlines()[-1] == error


def test_a_folder_that_cannot_hold_an_environment_gives_one_line(tmp_path: Path) -> None:
    clone = clone_to(tmp_path / "a:b")
    *_, line, _ = make(clone, "serve").stdout.splitlines()
    assert line == f"error: no Python environment can be in a folder with ':' in its path: {clone}"


def test_nothing_is_started_when_nothing_is_to_be_done() -> None:
    assert len(make(ROOT, "--dry-run", "demo").stdout.splitlines()) == 1


def test_a_file_system_that_is_full_gives_one_line(tmp_path: Path) -> None:
    needs_root()
    unshare = needs_tool("unshare")
    clone = clone_to(tmp_path / "clone")
    script = "mkdir .venv && mount -t tmpfs -o size=20m none .venv && exec make serve"
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", script], cwd=clone, env=shell(), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("error: ")

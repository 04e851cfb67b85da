"""The folder of one run: where it is, who may see it, and what becomes of those of runs that have ended."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from deployments.launcher import folder as folders
from deployments.launcher.console import LaunchError
from deployments.launcher.folder import LOGS, PREVIOUS_LOGS, Folder, made

KILLED = """
import os, signal, sys
from collections.abc import Iterator
from pathlib import Path
from deployments.launcher.folder import LOGS, made
with made({"TMPDIR": sys.argv[1]}) as run:
    (run.path / LOGS).mkdir(parents=True)
    (run.path / LOGS / "who").write_text(sys.argv[2])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short one: pytest's are too long for sockets."""
    path = Path(mkdtemp(prefix="f", dir="/tmp"))
    monkeypatch.setattr(folders, "PLACES", ())
    yield path
    shutil.rmtree(path)


def test_permission_to_take_jobs_over_is_a_folder_of_the_run(place: Path) -> None:
    with made({"TMPDIR": str(place)}) as run:
        assert run.take_over().parent == run.path
        assert list(run.take_over().iterdir()) == []
    assert not (run.path / "take-over").exists()


def kill_a_run(place: Path, name: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(place), name], check=False, timeout=20)


def test_nobody_else_may_enter_it(place: Path) -> None:
    with made({"TMPDIR": str(place)}) as run:
        assert run.path.stat().st_mode & 0o777 == 0o700
        assert run.path.parent == place


def test_what_killed_runs_left_is_removed_but_the_newest_logs(place: Path) -> None:
    for name in ("first", "second"):
        kill_a_run(place, name)
        time.sleep(0.02)
    assert len(list(place.iterdir())) == 1  # each start removes what was left before
    with made({"TMPDIR": str(place)}) as run:
        assert list(place.iterdir()) == [run.path]
        assert (run.path / PREVIOUS_LOGS / "who").read_text() == "second"


def test_the_folder_of_a_run_that_lives_stays(place: Path) -> None:
    with made({"TMPDIR": str(place)}) as first, made({"TMPDIR": str(place)}) as second:
        assert first.path.exists()
        assert second.path.exists()


def test_whatever_is_not_a_run_of_this_user_stays(place: Path) -> None:
    other = place / f"{folders.PREFIX}12345678"
    other.mkdir()
    (place / f"{folders.PREFIX}87654321").symlink_to(other)
    with made({"TMPDIR": str(place)}):
        assert other.exists()


def test_after_the_run_its_logs_are_there_and_nothing_else(place: Path) -> None:
    with made({"TMPDIR": str(place)}) as run:
        session = run.path / folders.RAY / "session_1"
        (session / "logs").mkdir(parents=True)
        (session / "sockets").mkdir()
        (session.parent / "session_latest").symlink_to(session)
        run.write_token()
        run.copy_code()
    left = {str(each.relative_to(run.path)) for each in run.path.rglob("*")}
    assert left == {"fibonacci-service", "ray", "ray/session_1", "ray/session_1/logs", "ray/session_latest"}
    assert (run.path / LOGS).is_dir()


@pytest.mark.parametrize("name", ["longer-than-sockets-can-be-there", "with space", "with'quote", "ümläut"])
def test_a_place_that_sockets_or_ray_cannot_use_is_passed_over(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PLACES", (str(place),))
    (place / name).mkdir()
    with made({"TMPDIR": str(place / name)}) as run:
        assert run.path.parent == place


def test_a_place_may_be_named_from_here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's processes run elsewhere."""
    monkeypatch.chdir(place.parent)
    with made({"TMPDIR": place.name}) as run:
        assert run.path.parent == place


@pytest.mark.parametrize("wanted", ["/nowhere", "/proc"])
def test_where_there_is_no_place_one_line_says_so(wanted: str, place: Path) -> None:
    told = pytest.raises(LaunchError, match=r"no place for sockets and logs \(.+\): set TMPDIR to a folder")
    with told, made({"TMPDIR": wanted}):
        pass


def test_a_full_disk_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "FREE_MB", 10**9)
    with pytest.raises(LaunchError, match=r"MB are free, and 1000000000 are needed"), made({"TMPDIR": str(place)}):
        pass


def test_everything_in_it_can_be_made_to_look_fresh(place: Path) -> None:
    with made({"TMPDIR": str(place)}) as run:
        old = [run.path / "a", run.path / "b"]
        old[0].touch()
        old[1].symlink_to("/nowhere")
        for path in old:
            os.utime(path, (0, 0), follow_symlinks=False)
        run.keep_fresh()
        assert all(path.lstat().st_atime > 0 for path in old)


def test_the_code_that_runs_is_a_copy(place: Path) -> None:
    with made({"TMPDIR": str(place)}) as run:
        run.copy_code()
        code = "import app.job; print(app.job.__file__)"
        environment = {"PYTHONPATH": str(run.code), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            env=environment, cwd=run.code, capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
        assert done.stdout.strip() == str(run.code / "app/job.py")


def test_an_interpreter_whose_path_ray_cannot_quote_is_reached_through_a_link(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = place / "my (odd) & 'quoted' prøject"
    odd.symlink_to(sys.prefix)
    monkeypatch.setattr(sys, "prefix", str(odd))
    monkeypatch.setattr(sys, "executable", str(odd / "bin/python"))
    run = Folder(place, -1)
    interpreter = run.interpreter()
    assert folders.PLAIN.fullmatch(interpreter)
    prefix = subprocess.check_output([interpreter, "-c", "import yaml, sys; print(sys.prefix)"], text=True, timeout=20)
    assert prefix.strip() == str(place / "python")

"""The folder of one run: its sockets, HAProxy's files, Ray's session and logs, the code it runs, its token.

It is this user's alone (0700), and locked while the run lives. What a run left behind is removed by the next one; only
the newest logs are kept for one more run.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.launcher.console import LaunchError

PREFIX = "fib-"
MARK = "fibonacci-service"
"""A file that marks a folder as one of these."""
MAX_LENGTH = 27
"""Of the 107 characters of a socket's path, HAProxy needs 80: for a node's id and a temporary name."""
MAX_PLACE_LENGTH = MAX_LENGTH - len(f"/{PREFIX}12345678")
PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
"""What a path may contain so that Ray, which puts its interpreter's unquoted into a shell line, can start a worker."""
PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (what is made there is this user's alone)
FREE_MB = 100
"""A run of a day takes about a third of this, mostly logs, which Ray and Serve rotate."""
RAY = "ray"
"""A folder inside it: Ray opens the one that it gets to every user."""
LOGS = f"{RAY}/session_latest/logs"
PREVIOUS_LOGS = "previous-logs"
PLAN = "plan.json"
"""What the cluster's process was asked to run."""
PACKAGES = ("app", "deployments")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where it is, and the descriptor that holds its lock; a child that inherits that holds it too."""

    path: Path
    lock: int

    @property
    def output(self) -> Path:
        """What processes without a log print."""
        return self.path / "output"

    @property
    def code(self) -> Path:
        """The copy of the service's code."""
        return self.path / "code"

    @property
    def logs(self) -> Path:
        """Ray's, with Serve's in a subfolder; there once Ray has begun to start."""
        return self.path / LOGS

    def interpreter(self) -> str:
        """This interpreter, by a path that needs no quoting: through a link if its own does."""
        if PLAIN.fullmatch(sys.executable):
            return sys.executable
        prefix, link = Path(sys.prefix), self.path / "python"
        if not Path(sys.executable).is_relative_to(prefix):
            raise LaunchError(f"Ray cannot start workers from {sys.executable!r}: use a virtual environment")
        link.unlink(missing_ok=True)
        link.symlink_to(prefix)
        return str(link / Path(sys.executable).relative_to(prefix))

    def copy_code(self) -> None:
        """Copy the service's code. Code that is edited, pulled or installed under a running service must not reach it:
        a new worker would not understand an old ingress."""
        for package in PACKAGES:
            shutil.copytree(Path(__file__).parents[2] / package, self.code / package, dirs_exist_ok=True)

    def write_token(self) -> Path:
        """Ray's token for this run, and nobody else's."""
        path = self.path / "auth_token"
        path.write_text(secrets.token_hex(32))
        return path

    def take_over(self) -> Path:
        """A folder for ``deployments.config.take_over``."""
        path = self.path / "take-over"
        path.mkdir(exist_ok=True)
        return path

    def keep_fresh(self) -> None:
        """Touch everything here: cleaners of temporary folders remove what nobody has touched for some days.

        The lock keeps systemd's away, but not the others.
        """
        for parent, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                with contextlib.suppress(OSError):
                    os.utime(Path(parent, name), follow_symlinks=False)

    def empty(self) -> None:
        """Remove all but the logs."""
        logs = self.logs.resolve()
        for each in self.path.iterdir():
            if each.name not in (MARK, PREVIOUS_LOGS):
                _remove(each, but=logs)


@contextlib.contextmanager
def made(environ: Mapping[str, str]) -> Iterator[Folder]:
    """A new folder where sockets can be; whatever dead runs left in the same place is removed.

    Raises ``LaunchError`` if there is no such place.
    """
    place = _place(environ)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    lock = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_SH)
        (path / MARK).touch()
        _sweep(place, path)
        yield Folder(path, lock)
    finally:
        Folder(path, lock).empty()
        os.close(lock)


def running_plans(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The plans of this user's live runs."""
    places = dict.fromkeys((environ.get("TMPDIR") or PLACES[0], *PLACES, f"/run/user/{os.getuid()}"))
    found = [each for place in places for each in Path(place).glob(f"{PREFIX}*")]
    lives = [each / PLAN for each in found if _is_ours(each) and not _is_dead(each)]
    return [json.loads(plan.read_text("utf-8")) for plan in lives if plan.exists()]


def _place(environ: Mapping[str, str]) -> Path:
    """TMPDIR, if a socket's path fits there and Ray can use its name; otherwise where most machines have space."""
    wanted = str(Path(environ.get("TMPDIR") or PLACES[0]).absolute())
    problem = ""
    for place in dict.fromkeys((wanted, *PLACES, f"/run/user/{os.getuid()}")):
        if len(place) > MAX_PLACE_LENGTH or not PLAIN.fullmatch(place):
            continue
        try:
            with tempfile.TemporaryFile(dir=place):
                free_mb = shutil.disk_usage(place).free // 1_000_000
        except OSError as error:
            problem = problem or f"{place}: {error.strerror}"
        else:
            if free_mb >= FREE_MB:
                return Path(place)
            problem = problem or f"{place}: {free_mb} MB are free, and {FREE_MB} are needed"
    raise LaunchError(
        f"no place for sockets and logs ({problem}): set TMPDIR to a folder whose path has at most "
        f"{MAX_PLACE_LENGTH} characters"
    )


def _sweep(place: Path, new: Path) -> None:
    """Remove this user's folders that no run holds any more. The newest one's logs move to the new folder."""
    dead = [each for each in place.glob(f"{PREFIX}*") if each != new and _is_ours(each) and _is_dead(each)]
    with contextlib.suppress(OSError, ValueError):  # none; or another launcher removes them too
        newest = max((each for each in dead if (each / LOGS).exists()), key=lambda each: each.stat().st_mtime)
        shutil.move((newest / LOGS).resolve(strict=True), new / PREVIOUS_LOGS)
    for each in dead:
        shutil.rmtree(each, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    """Whether it is a folder of a run of this user's."""
    try:
        return not path.is_symlink() and path.stat().st_uid == os.getuid() and (path / MARK).is_file()
    except OSError:
        return False


def _is_dead(path: Path) -> bool:
    """Whether nothing holds the lock of this folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(path: Path, but: Path) -> None:
    """Remove a file or tree, except the folder ``but`` and what leads to it."""
    if path == but:
        return
    if path.is_symlink() or not path.is_dir():
        if path.name != "session_latest":
            path.unlink(missing_ok=True)
    elif but.is_relative_to(path):
        for each in path.iterdir():
            _remove(each, but)
    else:
        shutil.rmtree(path, ignore_errors=True)

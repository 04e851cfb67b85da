"""An environment that is whole, or is made again.

``.installed`` in its folder is written last and removed before anything is changed. Where it is missing, something was
interrupted, and what is there may be half a package: none of it is used. It holds the path of the clone, which scripts
of the environment name, and that of the real Python: a moved clone or a removed Python makes it invalid. The Makefile
compares it too, so that nothing is started when there is nothing to do.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from deployments.launcher.console import say
from set_up import registry
from set_up.steps import SetUpError, run

BASE = ("requirements-dev.lock", "requirements-uv.lock", "pyproject.toml")
OWN = ("audit", "bench-flink", "bench-tensorflow")
"""Have environments of their own, folders in ``.venv``: their pins conflict with the others'."""
KEPT = {".being-made", *OWN}
"""In the folder, when all else there is removed: our lock (``.lock`` is uv's), and environments of their own."""


class Environment:
    """The environment in this folder; its path is relative to the clone, which is the working directory."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._python = str(self._folder / "bin/python")
        self._installed = self._folder / ".installed"

    def make(self, *inputs: str) -> None:
        """Make it if it is not whole, renew it if an input is newer. Raises ``SetUpError`` and ``OSError``."""
        with self._held() as lock:
            whole = self._is_whole()
            if whole and _is_newer(self._installed, inputs):
                return  # another make did it while we waited
            self._installed.unlink(missing_ok=True)
            if not whole:
                self._begin(lock)
            if inputs == BASE:
                self._install_project(lock)
            else:
                self._pip(f"installing {inputs[0]}", lock, "install", "-r", inputs[0])
            self._installed.write_bytes(self._place())

    def add(self, name: str) -> None:
        """Add the packages of a lock file to a whole environment. Raises ``SetUpError`` and ``OSError``."""
        lock_file = f"requirements-{name}.lock"
        stamp = self._folder / f".{name}-installed"
        with self._held() as lock:
            if not self._is_whole():
                raise SetUpError(f"{self._folder} is not whole: run make again")
            if _is_newer(stamp, (lock_file, str(self._installed))):
                return
            changing = self._installed.rename(self._folder / ".changing")
            self._uv(f"downloading and installing {lock_file}", lock, "--require-hashes", "-r", lock_file)
            changing.rename(self._installed)  # as old as it was: older than the stamp
            stamp.touch()

    def _begin(self, lock: int) -> None:
        found = [path for path in self._folder.iterdir() if path.name not in KEPT]
        if found:
            say(f"{self._folder} is incomplete, or was made elsewhere or with another Python: making it again")
        for path in found:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        version = ".".join(map(str, sys.version_info[:3]))
        say(f"setting up {self._folder} with Python {version} ({sys.executable}), once:")
        _check_place()
        command = [sys.executable, "-E", "-s", "-m", "venv", "--without-pip", str(self._folder)]
        run("making the environment", command, os.environ, lock)
        # Not by venv, which does not pass on why it failed.
        run("installing pip", [self._python, "-m", "ensurepip", "--upgrade", "--default-pip"], os.environ, lock)

    def _install_project(self, lock: int) -> None:
        self._pip("fetching uv, which installs the rest", lock, "install", "-r", "requirements-uv.lock")
        self._uv("downloading and installing all packages", lock, "--require-hashes", "-r", "requirements-dev.lock")
        self._uv("installing the project", lock, "--no-deps", "--no-build-isolation", "--editable", ".")
        command = [self._python, "-m", "compileall", "-q", "app", "deployments"]
        run("compiling it", command, os.environ, lock)

    def _pip(self, text: str, lock: int, *arguments: str) -> None:
        command = [self._python, "-m", "pip", "-q", *arguments, "--require-hashes"]
        run(text, command, registry.for_pip(self._python), lock)

    def _uv(self, text: str, lock: int, *arguments: str) -> None:
        command = [self._python, "-m", "uv", "pip", "install", "--quiet", "--python", self._python]
        with registry.for_uv(self._python) as environ:
            run(text, [*command, "--compile-bytecode", *arguments], environ, lock)

    def _is_whole(self) -> bool:
        try:
            return self._installed.read_bytes() == self._place()
        except FileNotFoundError:
            return False

    def _place(self) -> bytes:
        """As in the Makefile: the clone's folder, and the file that Python really is; nothing if it is gone."""
        python = os.path.realpath(self._python)
        return os.fsencode(f"{Path.cwd()} {python if Path(python).exists() else ''}")

    @contextlib.contextmanager
    def _held(self) -> Iterator[int]:
        """Locked: the kernel lets the next make in when we and all that we started have ended, in whatever way."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".being-made").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another make is setting up {self._folder}: waiting for it ...")
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # some network file systems have no locks
                    raise
            yield file.fileno()


def _is_newer(stamp: Path, inputs: tuple[str, ...]) -> bool:
    """Whether the stamp is there and no input has changed since."""
    return stamp.exists() and all(stamp.stat().st_mtime_ns >= Path(file).stat().st_mtime_ns for file in inputs)


def _check_place() -> None:
    if os.pathsep in str(Path.cwd()):
        raise SetUpError(f"no Python environment can be in a folder with {os.pathsep!r} in its path: {Path.cwd()}")
    try:
        import ensurepip  # noqa: PLC0415 (what is missing is said in one line)

        ensurepip.version()
    except (ImportError, AttributeError, OSError):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetUpError(f"Python's venv module is incomplete (Debian, Ubuntu: apt install {package})") from None

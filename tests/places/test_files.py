"""Where the service's files are: temporary folders, users and paths of every kind, and what happens to them later."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from harness import bounds
from harness.processes import descendants, wait_until, workers
from harness.service import Service, launched
from tests.places.needs import lacks, needs_root, needs_tool

ROOT = Path(__file__).parents[2]
NOBODY = (
    "setpriv", "--reuid=12345", "--regid=0", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",  # the interpreter may be in root's home folder
)  # fmt: skip
"""A user without a name, as some clusters give every container."""
HAPROXY = "haproxy.cfg"
INGRESS = "ray::ServeReplica:fibonacci:FibonacciIngress"


def mounted(commands: str, *then: str) -> tuple[str, ...]:
    """What runs in a mount namespace of its own after these shell commands, which mount over temporary folders."""
    if str(ROOT.resolve()).startswith(("/tmp/", "/var/tmp/", "/dev/shm/", "/run/")):  # noqa: S108 (nothing is made)
        lacks("a clone outside temporary folders")
    return ("unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{commands}; exec "$@"', "sh", *then)


def answers(service: Service) -> bool:
    try:
        posted = httpx.post(f"{service.url}/fibonacci", json={"sequence_size": 10}, timeout=10, trust_env=False)
    except httpx.HTTPError:
        return False
    return posted.status_code == 200


def refused(*command: str, within: tuple[str, ...] = (), **environment: str) -> list[str]:
    """The lines of a launcher that does not start."""
    done = subprocess.run(
        [*within, sys.executable, "-m", "deployments.launch", "--port", "0", *command],
        env=os.environ | environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout.splitlines()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """pytest's own are too long for sockets."""
    with TemporaryDirectory(prefix="f", dir="/tmp") as name:
        yield Path(name)


def test_a_nameless_user_without_a_home_on_a_temporary_folder_that_runs_nothing() -> None:
    needs_root()
    needs_tool("setpriv")
    only_tmp = "mount -t tmpfs -o noexec,mode=1777,size=300m tmpfs /tmp; mount -o remount,bind,ro / 2>/dev/null || true"
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    with launched("--cpus", "1", within=mounted(only_tmp, *NOBODY), environment=environment) as service:
        assert answers(service)


@pytest.mark.parametrize("name", ["a-very-long-name-such-as-nix-shell-makes-them", "with space", "ümläut & 'quote'"])
def test_a_temporary_folder_that_sockets_cannot_use_is_not_used(name: str, short_folder: Path) -> None:
    folder = short_folder / name
    folder.mkdir()
    with launched("--cpus", "1", environment=os.environ | {"TMPDIR": str(folder)}) as service:
        assert answers(service)
        assert not list(folder.iterdir())


def test_a_clone_whose_path_a_shell_would_take_apart(short_folder: Path) -> None:
    clone = short_folder / "my (odd) & 'quoted' prøject"
    clone.symlink_to(ROOT)
    with launched("--cpus", "1", folder=clone, python=str(clone / ".venv/bin/python")) as service:
        assert answers(service)


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("mount -t tmpfs -o size=20m tmpfs /tmp; mount -t tmpfs -o size=20m tmpfs /var/tmp; "
         "mount -t tmpfs -o size=20m tmpfs /dev/shm; umount -l /run 2>/dev/null || mount -t tmpfs tmpfs /run",
         "MB are free, and 100 are needed"),
        ("for each in /tmp /var/tmp /dev/shm /run; do mount -t tmpfs -o ro tmpfs $each; done",
         "Read-only file system"),
    ],
    ids=["full", "read-only"],
)  # fmt: skip
def test_without_room_for_files_one_line_says_what_is_missing(commands: str, said: str) -> None:
    needs_root()
    (line,) = refused(within=mounted(commands), TMPDIR="/tmp")  # noqa: S108 (a mount of this case's)
    assert line.startswith("error: no place for sockets and logs (")
    assert said in line


@pytest.mark.timeout(180)
def test_a_cleaner_of_temporary_folders_takes_nothing_that_is_needed() -> None:
    """Files go; then the ingress, for which HAProxy is reloaded, and HAProxy itself."""
    with launched("--cpus", "1") as service:
        for path in service.folder.rglob("500.http"):
            path.unlink()
        for title, back in ((INGRESS, bounds.INGRESS_REPLACED), (HAPROXY, bounds.PROXY_BACK)):
            before = set(descendants(service.process.pid, title))
            for process in before:
                process.send_signal(signal.SIGKILL)
            wait_until(lambda: is_another(service, title, before), 2 * back, f"another {title}")  # noqa: B023 (at once)
            wait_until(lambda: answers(service), 2 * back, f"answers after the loss of {title}")
        assert list(service.folder.rglob("500.http"))


def is_another(service: Service, title: str, before: set[psutil.Process]) -> bool:
    return bool(set(descendants(service.process.pid, title)) - before)


def test_systemd_keeps_its_hands_off_a_folder_that_is_locked(short_folder: Path) -> None:
    tmpfiles = needs_tool("systemd-tmpfiles")
    (short_folder / "old").touch()
    environment = os.environ | {"TMPDIR": str(short_folder)}
    with launched("--cpus", "1", environment=environment) as service, TemporaryDirectory() as folder:
        rules = Path(folder, "rules.conf")
        rules.write_text(f"e {short_folder} - - - 0\n")
        subprocess.run([tmpfiles, "--clean", str(rules)], check=True, capture_output=True, timeout=30)
        assert not (short_folder / "old").exists(), "it cleans nothing: the test would see nothing"
        assert (service.folder / "plan.json").exists()
        assert answers(service)


@pytest.mark.timeout(180)
def test_code_that_changes_under_a_running_service_is_not_its_own(short_folder: Path) -> None:
    for package in ("app", "deployments"):
        shutil.copytree(ROOT / package, short_folder / package)
    shutil.copy(ROOT / "serve_config.yaml", short_folder)
    with launched("--cpus", "1", folder=short_folder) as service:
        job = short_folder / "app/job.py"
        job.write_text("raise ImportError('a new version')\n")
        (worker,) = workers(service.process.pid)
        worker.kill()
        wait_until(lambda: workers(service.process.pid) not in ([], [worker]), bounds.WORKER_REPLACED, "a new worker")
        assert answers(service)


def test_two_users_one_after_the_other(short_folder: Path) -> None:
    needs_root()
    needs_tool("setpriv")
    short_folder.chmod(0o1777)
    environment = os.environ | {"TMPDIR": str(short_folder), "HOME": "/"}
    for within in ((), NOBODY):
        with launched("--cpus", "1", within=within, environment=environment) as service:
            assert answers(service)
            assert service.folder.parent == short_folder


def test_without_standard_streams_it_runs(short_folder: Path) -> None:
    """As old daemonisers start things. It tells a service manager when it is ready, and when it stops."""
    command = [sys.executable, "-m", "deployments.launch", "--port", "0", "--cpus", "1"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_folder / "notify"))
        manager.settimeout(200)
        environment = os.environ | {"NOTIFY_SOCKET": manager.getsockname()}
        shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
        process = subprocess.Popen([*shell, *command], env=environment, process_group=0)
        try:
            assert manager.recv(100) == b"READY=1"
            url = f"http://127.0.0.1:{listening_port(process.pid)}"
            assert answers(Service(url, process))  # type: ignore[arg-type]
        finally:
            process.terminate()
            assert process.wait(bounds.SHUTDOWN) == 0
        assert manager.recv(100) == b"STOPPING=1"


def listening_port(pid: int) -> int:
    """Of the API: the one that the plan names."""
    (cluster,) = descendants(pid, "deployments.launcher.cluster")
    port: int = json.loads(Path(cluster.cmdline()[-2]).read_text())["config"]["http_options"]["port"]
    return port

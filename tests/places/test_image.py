"""The image, built from this tree and run as a hardened cluster runs it, looked at from another host."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import bounds
from harness.processes import wait_until
from tests.places.hosts import Host, two_hosts
from tests.places.needs import lacks, needs_root, needs_tool

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/python:3.12-slim-bookworm"
IMAGE = "localhost/fibonacci:places"
CONTAINER = f"fibonacci-places-{os.getpid()}"
PODMAN = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
TMP = "/tmp"  # noqa: S108 (the container's own)
HARDENED = (
    "--read-only", "--read-only-tmpfs=false", "--tmpfs", f"{TMP}:rw,noexec,nosuid,size=300m", "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges", "--user", "12345:0",
)  # fmt: skip
START_SECONDS = 240


@dataclass
class Container:
    """A running one, and what it has printed."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*PODMAN, "exec", CONTAINER, *command], capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def image() -> str:
    """Built by buildah; the registry that this machine uses is used in it too."""
    needs_root()
    for tool in ("buildah", "podman", "runc", "ip", "curl"):
        needs_tool(tool)
    if not (said("buildah", "images", "--quiet", BASE) or said("buildah", "pull", "--quiet", BASE)):
        lacks(f"the image {BASE}")
    told = ("/etc/pip.conf", os.environ.get("SSL_CERT_FILE", ""))
    volumes = [f"--volume={path}:{path}:ro" for path in told if path and Path(path).is_file()]
    build = ["buildah", "bud", "--isolation", "chroot", "--network", "host", "--pull=never", "--format", "docker"]
    done = subprocess.run(
        [*build, "--layers", *volumes, "--tag", IMAGE, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return IMAGE


def said(*command: str) -> bool:
    """Whether the command succeeds, and says something."""
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    return done.returncode == 0 and bool(done.stdout)


@contextlib.contextmanager
def container(image: str, network: str, *options: str) -> Iterator[Container]:
    files = ("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=4096:4096")  # podman's own may be more than allowed
    command = [*PODMAN, "run", "--rm", "--no-healthcheck", "--name", CONTAINER, "--network", network, *files, *options]
    process = subprocess.Popen([*command, image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    running = Container(process)
    reader = threading.Thread(target=read, args=(running,), daemon=True)
    reader.start()
    try:
        yield running
    finally:
        subprocess.run([*PODMAN, "rm", "--force", "--time", "0", CONTAINER], capture_output=True, check=False)
        process.wait(30)
        reader.join(5)
        if process.stdout is not None:
            process.stdout.close()


def read(running: Container) -> None:
    assert running.process.stdout is not None
    running.lines.extend(running.process.stdout)


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    needs_root()
    needs_tool("ip")
    with two_hosts() as pair:
        yield pair


@pytest.mark.timeout(900)
def test_half_a_cpu_two_gigabytes_and_nothing_allowed_are_enough(image: str, hosts: tuple[Host, Host]) -> None:
    server, client = hosts
    limits = ("--cpus", "0.5", "--memory", "2g", "--pids-limit", "512")
    with container(image, f"ns:/run/netns/{server.name}", *HARDENED, *limits) as running:
        wait_until(lambda: running.says("ready on") or running.process.poll() is not None, START_SECONDS, "ready")
        assert running.says("ready on"), "".join(running.lines)
        url = f"http://{server.ipv4}:8000"
        body = ("-H", "Content-Type: application/json", "-d", '{"sequence_size": 1000}')
        assert client.status(f"{url}/fibonacci", *body) == "200"
        assert client.run("curl", "--silent", f"{url}/pool").count("worker_id") == 1
        assert running.run("python", "-m", "deployments.readiness").returncode == 0
        zombies = running.run("sh", "-c", "cat /proc/[0-9]*/stat | awk '{print $3}' | grep -c Z").stdout.strip()
        assert zombies == "0"
        subprocess.run([*PODMAN, "stop", "--time", "60", CONTAINER], capture_output=True, check=True, timeout=90)
        assert running.process.wait(10) == 0


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (("--memory", "512m"), "MB of memory, but only 536 MB may be used here"),
        (("--memory", "2g", "--pids-limit", "256"), "processes and threads, but only 25"),
    ],
    ids=["512 MB", "256 tasks"],
)
def test_too_little_of_the_machine_is_told_at_once(limits: tuple[str, ...], said: str, image: str) -> None:
    with container(image, "none", *HARDENED, "--cpus", "2", *limits) as running:
        assert running.process.wait(bounds.SHUTDOWN) == 1
        (line,) = [line for line in running.lines if not line.startswith("time=")]  # podman's own
        assert line.startswith("error: 2 workers need ")
        assert said in line

"""What the machine gives: CPUs, memory and tasks by control groups of the real kernel, and ports that others take."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.launcher.ports import free_port
from harness.processes import wait_until
from harness.service import Service, launched
from tests.places.needs import lacks, needs_root, needs_tool

GROUPS = Path("/sys/fs/cgroup")
STARTS = 2


def num_workers(service: Service) -> int:
    return len(httpx.get(f"{service.url}/pool", trust_env=False).json()["workers"])


@contextlib.contextmanager
def group(controller: str, **limits: int) -> Iterator[tuple[str, ...]]:
    """A command that joins a new control group of version 1 with these limits, and becomes another one."""
    needs_root()
    parent = GROUPS / controller
    if not parent.is_dir():
        lacks(f"version 1 of the {controller} control group")
    folder = parent / f"fibonacci-places-{os.getpid()}"
    folder.mkdir()
    try:
        for name, value in limits.items():
            (folder / f"{controller}.{name}").write_text(str(value))
        yield ("sh", "-ec", f'echo $$ > {folder}/cgroup.procs; exec "$@"', "sh")
    finally:
        folder.rmdir()


def test_a_process_bound_to_one_cpu_has_one_worker() -> None:
    with launched(within=(needs_tool("taskset"), "--cpu-list", "0")) as service:
        assert num_workers(service) == 1


@pytest.mark.timeout(300)
def test_half_a_cpu_is_one_worker() -> None:
    with group("cpu", cfs_period_us=100_000, cfs_quota_us=50_000) as within, launched(within=within) as service:
        assert num_workers(service) == 1


@pytest.mark.parametrize(
    ("controller", "limits", "said"),
    [
        ("memory", {"limit_in_bytes": 536_870_912}, "MB of memory, but only 536 MB may be used here"),
        ("pids", {"max": 256}, "processes and threads, but only 25"),
    ],
)
def test_too_little_is_told_at_once(controller: str, limits: dict[str, int], said: str) -> None:
    with group(controller, **limits) as within:
        command = [*within, sys.executable, "-m", "deployments.launch", "--port", "0", "--cpus", "2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("error: 2 workers need ")
    assert said in line


def connect_all_the_time(stop: threading.Event) -> None:
    """Outgoing connections and listeners on any port, some fifty a second, two hundred of each at a time."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as server:
        held: list[socket.socket] = []
        while not stop.wait(0.02):
            with contextlib.suppress(OSError):
                held += [socket.create_connection(server.getsockname(), 1), server.accept()[0]]
                held.append(socket.create_server(("127.0.0.1", 0)))
            while len(held) > 600:
                held.pop(0).close()
        for each in held:
            each.close()


def assert_haproxy_stays(url: str) -> None:
    """One that is replaced ends the connections that it has with their next answer."""
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            answer = client.get(f"{url}/readyz")
            assert answer.status_code == 200
            assert "connection" not in answer.headers
            time.sleep(0.5)


@pytest.mark.timeout(400)
def test_starts_on_any_port_beside_a_process_that_opens_connections_all_the_time() -> None:
    stop = threading.Event()
    busy = threading.Thread(target=connect_all_the_time, args=(stop,))
    busy.start()
    try:
        for _ in range(STARTS):
            with launched("--cpus", "1") as service:
                assert not any("once more" in line for line in service.output)
                assert_haproxy_stays(service.url)
    finally:
        stop.set()
        busy.join()


def test_two_launchers_on_one_port_at_one_moment_are_one_service_and_one_line() -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "deployments.launch", "--port", port, "--cpus", "1"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) for _ in range(2)]
    try:
        wait_until(lambda: any(each.poll() is not None for each in both), 20, "one is refused")
        (refused,) = (each for each in both if each.poll() is not None)
        (other,) = (each for each in both if each is not refused)
        output, _ = refused.communicate()
        assert output == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
        assert other.poll() is None
    finally:
        for each in both:
            each.terminate()
            each.wait(30)
            if each.stdout is not None:
                each.stdout.close()

"""How the service ends: the signals of terminals, shells and service managers, at every moment of its life."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from harness import bounds
from harness.processes import alive, descendants, wait_until
from harness.service import Service, launched

LONG = {"sequence_size": 1_000_000, "num_sequences": 1, "execution": "local"}
"""Some two seconds of one core."""
COMMAND = (sys.executable, "-m", "deployments.launch", "--port", "0")
MOMENTS: dict[str, Callable[[int], bool]] = {
    "the launcher has just begun": lambda _: True,
    "Ray starts": lambda pid: bool(descendants(pid, "gcs_server")),
    "Serve starts": lambda pid: bool(descendants(pid, "ray::ServeController")),
    "HAProxy starts": lambda pid: bool(descendants(pid, "haproxy.cfg")),
    "replicas start": lambda pid: bool(descendants(pid, "ray::ServeReplica")),
}


def to_the_launcher(service: Service) -> None:
    service.process.send_signal(signal.SIGTERM)


def to_its_group(service: Service) -> None:
    """As a terminal that is closed."""
    os.killpg(service.process.pid, signal.SIGHUP)


def to_every_process(service: Service) -> None:
    """As systemd does by default, in the order of the pids."""
    for process in sorted([service.process.pid, *(each.pid for each in descendants(service.process.pid))]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


@pytest.mark.parametrize("tell", [to_the_launcher, to_its_group, to_every_process])
@pytest.mark.timeout(180)
def test_the_jobs_in_flight_are_answered_and_nothing_is_left(tell: Callable[[Service], None]) -> None:
    with launched("--cpus", "2") as service, ThreadPoolExecutor(4) as callers:
        everything = [psutil.Process(service.process.pid), *descendants(service.process.pid)]
        jobs = [callers.submit(post, service) for _ in range(4)]
        wait_until(lambda: unfinished(service) == 4, 10, "the jobs run")
        tell(service)
        assert [job.result(60) for job in jobs] == [200] * 4
        assert service.process.wait(60) == 0
        assert not alive(everything)


def post(service: Service) -> int:
    return httpx.post(f"{service.url}/fibonacci", json=LONG, timeout=100, trust_env=False).status_code


def unfinished(service: Service) -> int:
    count: int = httpx.get(f"{service.url}/pool", trust_env=False).json()["unfinished_jobs"]
    return count


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_before_it_is_ready_ends_it_with_one_line(moment: str, number: signal.Signals) -> None:
    if number == signal.SIGTERM and moment != "Serve starts":
        pytest.skip("one moment is enough for the other signal")
    launcher = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0)
    assert launcher.stdout is not None
    assert "starting on" in launcher.stdout.readline()
    wait_until(lambda: MOMENTS[moment](launcher.pid), 90, moment)
    everything = descendants(launcher.pid)
    begun = time.monotonic()
    os.killpg(launcher.pid, number)
    output, _ = launcher.communicate(timeout=30)
    assert time.monotonic() - begun < bounds.START_INTERRUPTED
    assert output.splitlines()[-1] == f"error: stopped by {number.name} before it was ready"
    assert launcher.returncode == 1
    assert not alive(everything)


def test_a_start_that_cannot_get_on_ends_by_itself_with_one_line(tmp_path: Path) -> None:
    """Ray's workers are started with bash; this one never lets them go."""
    bash = tmp_path / "bash"
    bash.write_text("#!/bin/sh\nexec sleep 1000\n")
    bash.chmod(0o755)
    command = (*COMMAND, "--start-seconds", "25")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1].startswith("error: not ready after 25 s, still starting Serve")


@pytest.mark.parametrize("title", ["gcs_server", "--raylet_socket_name=", "deployments.launcher.cluster"])
@pytest.mark.timeout(120)
def test_a_cluster_that_dies_ends_the_launcher_with_one_line(title: str) -> None:
    with launched("--cpus", "1") as service:
        everything = descendants(service.process.pid)
        victim = next(each for each in everything if title in " ".join(each.cmdline()))
        victim.kill()
        assert service.process.wait(bounds.SHUTDOWN) == 1
        wait_until(lambda: any(line.startswith("error: the cluster") for line in service.output), 5, "it is said")
        assert not alive(everything)


@pytest.mark.timeout(120)
def test_a_launcher_that_is_killed_leaves_nothing_running() -> None:
    with launched("--cpus", "1") as service:
        everything = descendants(service.process.pid)
        service.stop(signal.SIGKILL)
        wait_until(lambda: not alive(everything), bounds.NOTHING_LEFT, "no process is left")


@pytest.mark.timeout(120)
def test_a_lame_duck_takes_jobs_while_it_says_that_it_leaves() -> None:
    with launched("--cpus", "1", "--lame-duck-seconds", "4") as service, ThreadPoolExecutor(1) as caller:
        service.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        wait_until(lambda: httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 503, 3, "readyz is 503")
        answers: list[int] = []
        while time.monotonic() - begun < 3.5:
            job: Future[httpx.Response] = caller.submit(
                httpx.post, f"{service.url}/fibonacci", json={"sequence_size": 10}, trust_env=False
            )
            answers.append(job.result(5).status_code)
        assert set(answers) == {200}
        assert service.process.wait(bounds.SHUTDOWN) == 0


SERVE = ("make", "--no-print-directory", "serve", "PORT=0", "CPUS=1")


@pytest.mark.parametrize(
    "command",
    [("bash", "-c", f"{' '.join(SERVE)}; :"), SERVE],
    ids=["a shell leads the session", "make leads it, as in xterm -e make serve"],
)
@pytest.mark.timeout(180)
def test_a_terminal_that_closes_ends_make_serve_and_its_service(command: tuple[str, ...]) -> None:
    """The kernel tells the session's leader alone, and what runs in front as the leader ends. Make does not end."""
    master, terminal = os.openpty()
    leader = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (no threads here)
    )  # fmt: skip
    os.close(terminal)
    said = b""
    until = time.monotonic() + 90
    while b"ready on" not in said and time.monotonic() < until:
        said += os.read(master, 65_536)
    assert b"ready on" in said
    everything = descendants(leader.pid)
    os.close(master)
    wait_until(lambda: not alive(everything), 2 * bounds.SHUTDOWN, "no process is left")
    leader.wait(bounds.SHUTDOWN)

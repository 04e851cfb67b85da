"""The launcher's own process, over stand-ins for the cluster that are real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import psutil
import pytest

SUPERVISOR = """
import json, os, sys
from deployments.launcher.console import LaunchError, RetryError, say
from deployments.launcher.folder import made
from deployments.launcher.supervisor import Supervisor, Wishes
wishes, cluster = json.loads(sys.argv[1]), sys.argv[2]
try:
    with made({"TMPDIR": sys.argv[3]}) as run:
        run.code.mkdir()
        command = [sys.executable, "-c", cluster]
        supervisor = Supervisor(Wishes(**wishes), run, verbose=False)
        if "first" in cluster:
            try:
                supervisor.run(command, dict(os.environ, FIRST="1"), say)
            except RetryError as error:
                say(str(error))
        supervisor.run(command, dict(os.environ), lambda urls: say(f"ready {urls}"))
except (LaunchError, RetryError) as error:
    say(f"{type(error).__name__}: {error}")
    sys.exit(1)
"""
CLUSTER = """
import json, os, signal, subprocess, sys, time
def tell(name, value=None):
    os.write(int(sys.argv[1]), json.dumps([name, value]).encode() + b"\\n")
"""
OBEYS = """
tell("ready", [])
for line in sys.stdin:
    tell("say", line.strip())
    if line.startswith(("drain", "drop")) and not os.environ.get("SLOW"):
        break
"""


@contextmanager
def supervised(cluster: str, **wishes: float) -> Iterator["subprocess.Popen[str]"]:
    """A supervisor over a process that runs this code, in a process group of its own."""
    code = CLUSTER + textwrap.dedent(cluster)
    with TemporaryDirectory(prefix="f", dir="/tmp") as place:
        process = subprocess.Popen(
            # Under nohup it would ignore SIGHUP, and in a script's background SIGINT and SIGQUIT.
            ["env", "--default-signal", sys.executable, "-c", SUPERVISOR, json.dumps(wishes), code, place],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended before {text}")


def rest(process: "subprocess.Popen[str]") -> list[str]:
    output, _ = process.communicate(timeout=20)
    return output.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_group_drains_and_the_cluster_never_sees_it(number: signal.Signals) -> None:
    with supervised(OBEYS, grace=4.0) as process:
        read_until(process, "ready")
        os.killpg(process.pid, number)
        os.killpg(process.pid, number)  # at once again: one wish
        assert rest(process) == ["drain 4.0"]
        assert process.returncode == 0


def test_a_later_signal_drops_what_is_left() -> None:
    cluster = OBEYS.replace('("drain", "drop")', '"drop"')
    with supervised(cluster) as process:
        read_until(process, "ready")
        process.send_signal(signal.SIGTERM)
        read_until(process, "drain")
        time.sleep(0.6)  # past what is one wish
        process.send_signal(signal.SIGTERM)
        assert rest(process) == ["drop"]
        assert process.returncode == 0


def test_a_lame_duck_leaves_before_it_drains() -> None:
    with supervised(OBEYS, lame_duck=0.3, grace=1.0) as process:
        read_until(process, "ready")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert rest(process) == ["leaving: jobs are still accepted for 0.3 s", "leave", "drain 1.0"]
        assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize(
    "cluster", ["time.sleep(60)", "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nos.read(0, 1)"]
)
def test_a_start_that_hangs_ends_at_once_on_a_signal_and_by_itself_at_its_limit(cluster: str) -> None:
    cluster = "tell('step', 'starting Ray')\ntell('say', 'begun')\n" + cluster
    with supervised(cluster) as process:
        read_until(process, "begun")
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert rest(process) == ["LaunchError: stopped by SIGINT before it was ready"]
        assert time.monotonic() - begun < 5
        assert process.returncode == 1
    with supervised(cluster, start=0.5) as process:
        assert rest(process)[-1] == "LaunchError: not ready after 0.5 s, still starting Ray"


def test_whatever_the_cluster_leaves_is_ended_also_orphans_in_sessions_of_their_own() -> None:
    orphan = "import subprocess as s; print(s.Popen(['sleep', '60'], stdout=2, start_new_session=True).pid)"
    cluster = f"""
    pid = subprocess.run([sys.executable, "-c", {orphan!r}], stdout=subprocess.PIPE, text=True).stdout.strip()
    tell("say", "orphan " + pid)
    {OBEYS.strip().replace(chr(10), chr(10) + "    ")}
    """
    with supervised(cluster) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[1])
        assert psutil.Process(pid).parent().pid == process.pid  # type: ignore[union-attr]
        read_until(process, "ready")
        process.send_signal(signal.SIGTERM)
        rest(process)
        assert not psutil.pid_exists(pid)


def test_the_dead_are_buried_while_the_service_runs() -> None:
    dies = "import subprocess; subprocess.Popen(['true'], start_new_session=True)"
    with supervised(f"for _ in range(20): subprocess.run([sys.executable, '-S', '-c', {dies!r}])\n" + OBEYS) as process:
        read_until(process, "ready")
        time.sleep(0.3)
        children = psutil.Process(process.pid).children()
        assert [child.status() == psutil.STATUS_ZOMBIE for child in children] == [False]


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ("tell('failed', 'no applications')", "LaunchError: no applications"),
        ("tell('retry', 'a port was taken')", "RetryError: a port was taken"),
        ("sys.exit('broken')", "LaunchError: the cluster's process ended by itself (code 1): broken"),
        ("pass", "LaunchError: the cluster's process ended by itself (code 0): it said nothing"),
        ("os.kill(os.getpid(), 9)", "LaunchError: the cluster's process ended by itself (signal 9): it said nothing"),
        ("tell('ready', [])\ntell('failed', 'the raylet ended')\nos._exit(1)", "LaunchError: the raylet ended"),
        ("tell('ready', [])\nos.kill(os.getpid(), 9)",
         "LaunchError: the cluster's process ended by itself (signal 9): it said nothing"),
    ],
)  # fmt: skip
def test_a_cluster_that_ends_by_itself_ends_the_launcher_with_one_line(cluster: str, said: str) -> None:
    with supervised(cluster) as process:
        assert rest(process)[-1] == said
        assert process.returncode == 1


def test_a_second_try_is_not_ended_by_the_end_of_the_first() -> None:
    first = "if os.environ.get('FIRST'):\n    tell('retry', 'first')\n    time.sleep(60)\ntime.sleep(0.3)\n"
    with supervised(first + OBEYS) as process:
        read_until(process, "first")
        read_until(process, "ready")
        process.send_signal(signal.SIGTERM)
        assert rest(process) == ["drain 30.0"]
        assert process.returncode == 0


def test_a_launcher_that_is_killed_takes_the_cluster_along() -> None:
    with supervised("tell('say', str(os.getpid()))\n" + OBEYS) as process:
        assert process.stdout is not None
        cluster = psutil.Process(int(process.stdout.readline()))
        read_until(process, "ready")
        process.kill()
        cluster.wait(5)


def test_a_step_that_takes_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with supervised("tell('step', 'starting Ray')\ntime.sleep(3.2)\n" + OBEYS) as process:
        read_until(process, "starting Ray ...")

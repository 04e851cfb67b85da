"""The guard: kills a process that stands still, and only that."""

import os
import signal
import subprocess
import sys
import time
from unittest import mock

import psutil
import pytest

from deployments.watchdogs import guard

GUARDED = """
from deployments.watchdogs import start
start.BEAT_SECONDS, start.STILL_SECONDS = 0.1, 1.5
start.start_guard()
"""
SLEEP = "import time; print('guarded', flush=True); time.sleep(60)"


def test_a_process_that_stands_still_is_killed_and_one_that_sleeps_is_not() -> None:
    asleep, still = (
        subprocess.Popen([sys.executable, "-c", GUARDED + SLEEP], stdout=subprocess.PIPE) for _ in range(2)
    )
    try:
        for process in (asleep, still):
            assert process.stdout is not None
            assert process.stdout.readline() == b"guarded\n"
        os.kill(still.pid, signal.SIGSTOP)
        assert still.wait(timeout=10) == -signal.SIGKILL
        time.sleep(1.0)
        assert asleep.poll() is None
    finally:
        for process in (asleep, still):
            process.kill()
            process.communicate()


def test_a_process_that_was_paused_together_with_its_guard_lives_on() -> None:
    """As by `docker pause`. The guard goes on first, when no beat has come for long."""
    paused = subprocess.Popen([sys.executable, "-c", GUARDED + SLEEP], stdout=subprocess.PIPE)
    try:
        assert paused.stdout is not None
        assert paused.stdout.readline() == b"guarded\n"
        (its_guard,) = psutil.Process(paused.pid).children()
        os.kill(paused.pid, signal.SIGSTOP)
        time.sleep(0.3)  # what it said before that has been read
        its_guard.suspend()
        time.sleep(2.0)
        its_guard.resume()
        time.sleep(0.3)
        os.kill(paused.pid, signal.SIGCONT)
        time.sleep(2.0)
        assert paused.poll() is None
        assert its_guard.is_running()
    finally:
        paused.kill()
        paused.communicate()


def test_a_clock_that_jumps_is_no_standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a virtual machine that was paused: whoever waits has waited long enough at once, and beats come again."""
    waits = iter([[0], *[[]] * (guard.STEPS - 1), [0], *[[]] * (guard.STEPS - 1), [0]])
    system = mock.Mock(read=mock.Mock(side_effect=[b".", b".", b""]))
    monkeypatch.setattr("deployments.watchdogs.guard.select", mock.Mock(select=lambda *_: (next(waits), [], [])))
    monkeypatch.setattr("deployments.watchdogs.guard.os", system)
    guard.main(15.0)
    assert not system.kill.called


def test_the_guard_ends_with_its_process() -> None:
    script = GUARDED + "import psutil; print(psutil.Process().children()[0].pid)"
    guarded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    pid = int(guarded.stdout)
    give_up_at = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110 (a pid)
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

"""The guard: kills a process that stands still, and only that."""

import os
import signal
import subprocess
import sys
import time

GUARDED = """
from deployments import companions
companions.BEAT_SECONDS, companions.STILL_SECONDS = 0.1, 1.5
companions.start_guard()
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


def test_the_guard_ends_with_its_process() -> None:
    script = GUARDED + "import psutil; print(psutil.Process().children()[0].pid)"
    guarded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    pid = int(guarded.stdout)
    give_up_at = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110 (a pid)
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

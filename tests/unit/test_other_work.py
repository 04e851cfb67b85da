"""Work of others is told from one's own, and named only where it slows the workers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.demo import Row
from benchmarks.other_work import Busy, is_disturbing

CPUS = len(os.sched_getaffinity(0))


@pytest.fixture
def burner() -> Iterator[psutil.Process]:
    """A process that computes for nothing."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def until_it_has_burnt(burner: psutil.Process, seconds: float) -> None:
    enough = burner.cpu_times().user + seconds
    while burner.cpu_times().user < enough:
        time.sleep(0.01)


def test_a_process_beside_the_measured_one_is_other_work(burner: psutil.Process) -> None:
    alone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        before = Busy.now(alone.pid)
        until_it_has_burnt(burner, 0.5)
        assert Busy.now(alone.pid).others_since(before) > 0.4
    finally:
        alone.kill()
        alone.wait()


def test_a_descendant_is_no_other_work_also_when_it_has_ended(burner: psutil.Process) -> None:
    before = Busy.now()
    until_it_has_burnt(burner, 0.5)
    burner.kill()
    os.waitpid(burner.pid, 0)
    assert Busy.now().own - before.own > 0.4


def test_a_tenth_of_the_cores_is_told_and_less_is_not() -> None:
    assert is_disturbing(0.11 * CPUS, CPUS)
    assert not is_disturbing(0.09 * CPUS, CPUS)


def test_cores_beside_those_of_the_workers_may_be_busy() -> None:
    assert not is_disturbing(CPUS - 1, 1)


def test_a_row_measured_beside_other_work_says_so() -> None:
    assert str(Row(64, 100_000, 1.4, 0.8, CPUS, CPUS)).endswith(
        f"; no measure: other work took {CPUS}.0 cores meanwhile"
    )
    assert "no measure" not in str(Row(64, 100_000, 1.4, 0.8, CPUS, 0.0))

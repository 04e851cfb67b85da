"""Looks at the processes that a launcher or `serve run` started: all its descendants."""

import contextlib
import time
from collections.abc import Callable

import psutil


def descendants(pid: int, title: str = "") -> list[psutil.Process]:
    """The live descendants whose command line contains ``title``."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if title in " ".join(process.cmdline()):
                    found.append(process)
    return found


def workers(pid: int) -> list[psutil.Process]:
    """The worker replicas under the launcher with this pid."""
    return descendants(pid, "ray::ServeReplica:fibonacci:FibonacciWorker")


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still running; a zombie that nobody has reaped is not, once all its threads have ended.

    Until the last one has, its sockets are open and take connections: 0.2 s after ``kill -9``, with gRPC's threads.
    """
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1):
                found.append(process)
    return found


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """CPU time that the processes have used so far."""
    times = [process.cpu_times() for process in processes]
    return float(sum(t.user + t.system for t in times))


def wait_until(condition: Callable[[], bool], timeout_seconds: float, what: str) -> float:
    """Poll until ``condition()``; the seconds that it took. Fails with ``what`` after the time-out."""
    started_at = time.monotonic()
    while not condition():
        if time.monotonic() - started_at > timeout_seconds:
            raise AssertionError(f"not within {timeout_seconds} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - started_at

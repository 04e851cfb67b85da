"""All of the service stands still for a while, as under `docker pause`, and goes on."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress

import httpx
import psutil

from chaos.jobs import JobSpec, LocalJob
from chaos.load import all_at_once
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import OK
from chaos.rows.serving import HAPROXY
from chaos.stage import Stage
from harness.processes import alive, descendants

Pause = Callable[[list[psutil.Process]], AbstractContextManager[None]]

PAUSE_SECONDS = 60.0
JOBS = (LocalJob(300_000, 30), *[JobSpec(100_000, 40)] * 7)
"""About a core-second each, and one of six in one call."""
SETTLE_SECONDS = 20.0
"""Three health checks in a row, after which Serve or Ray would give a process up."""
COMES_AND_GOES = "ray::IDLE"
"""Processes that Ray keeps for tasks to come, for a while."""


@contextmanager
def suspended(processes: list[psutil.Process]) -> Iterator[None]:
    """They stand still meanwhile."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def paused(
    stage: Stage, seconds: float = PAUSE_SECONDS, pause: Pause = suspended, jobs: tuple[JobSpec, ...] = JOBS
) -> Outcome:
    """Every process stands still, the launcher and the guards too, with jobs in flight and a connection kept open."""
    stage.until(lambda: _haproxy_stays(stage), 60)
    everything = lasting(stage)
    titles = {process: title(process) for process in everything}
    with ThreadPoolExecutor(1) as callers, httpx.Client(base_url=stage.url, timeout=30) as kept:
        kept.get("/livez").raise_for_status()
        posted = callers.submit(all_at_once, stage.url, jobs)
        in_flight = stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == len(jobs)), 10)
        with pause(everything):
            time.sleep(seconds)
        status = kept.get("/livez").status_code
        record = posted.result()
    whole = stage.until(stage.is_whole, 10)
    time.sleep(SETTLE_SECONDS)
    left, new = set(alive(everything)), set(lasting(stage)) - set(everything)
    outcome = outcome_of(
        record,
        Check("all in flight after, s", in_flight, 10, quiet=True),
        Check("status on the connection kept open", status, OK, "="),
        Check("all workers reply after, s", whole, 10, quiet=True),
        Check("processes that ended", len(everything) - len(left), 0),
        Check("processes that are new", len(new), 0),
        *stage.left_behind(),
    )
    outcome.notes += [f"ended: {titles[process]}" for process in everything if process not in left]
    outcome.notes += [f"new: {title(process)}" for process in new]
    return outcome


def _haproxy_stays(stage: Stage) -> bool:
    """Whether it is not being replaced: it is, once more, just after the start."""
    before = stage.processes(HAPROXY)
    time.sleep(3.0)
    return len(before) <= 1 and stage.processes(HAPROXY) == before


def title(process: psutil.Process) -> str:
    """The beginning of its command line; nothing if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())[:60]
    return ""


def lasting(stage: Stage) -> list[psutil.Process]:
    """The service's processes, the launcher first, without those that come and go."""
    passing = descendants(stage.pid, COMES_AND_GOES)
    return [psutil.Process(stage.pid), *(each for each in descendants(stage.pid) if each not in passing)]

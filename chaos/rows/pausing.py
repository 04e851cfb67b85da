"""All of the service stands still for a while, as under `docker pause`, and goes on."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from chaos.jobs import JobSpec, LocalJob
from chaos.load import all_at_once
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import OK
from chaos.stage import Stage
from tests.serve.processes import alive, descendants

PAUSE_SECONDS = 60.0
JOBS = (LocalJob(300_000, 30), *[JobSpec(100_000, 40)] * 7)
"""About a core-second each, and one of six in one call."""
COMES_AND_GOES = "ray::IDLE"
"""Processes that Ray keeps for tasks to come, for a while."""


def paused(stage: Stage, seconds: float = PAUSE_SECONDS) -> Outcome:
    """Every process is stopped, the launcher and the guards too, with jobs in flight and a connection kept open."""
    everything = lasting(stage)
    with ThreadPoolExecutor(1) as callers, httpx.Client(base_url=stage.url, timeout=30) as kept:
        kept.get("/livez").raise_for_status()
        posted = callers.submit(all_at_once, stage.url, JOBS)
        in_flight = stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == len(JOBS)), 10)
        for process in everything:
            process.suspend()
        time.sleep(seconds)
        for process in everything:
            process.resume()
        status = kept.get("/livez").status_code
        record = posted.result()
    whole = stage.until(stage.is_whole, 10)
    time.sleep(30)  # three health checks of each that Serve or Ray might have given up
    return outcome_of(
        record,
        Check("all in flight after, s", in_flight, 10, quiet=True),
        Check("status on the connection kept open", status, OK, "="),
        Check("all workers reply after, s", whole, 10, quiet=True),
        Check("processes that ended", len(everything) - len(alive(everything)), 0),
        Check("processes that are new", len(set(lasting(stage)) - set(everything)), 0),
        *stage.left_behind(),
    )


def lasting(stage: Stage) -> list[psutil.Process]:
    """The service's processes, the launcher first, without those that come and go."""
    passing = descendants(stage.pid, COMES_AND_GOES)
    return [psutil.Process(stage.pid), *(each for each in descendants(stage.pid) if each not in passing)]

"""Signals to the launcher with jobs in flight: each stops the service that it is given."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

from chaos.jobs import JobSpec
from chaos.load import all_at_once
from chaos.outcome import Check, Outcome, outcome_of
from chaos.stage import Stage
from tests.serve.processes import alive, descendants

JOBS = 8
JOB = JobSpec(100_000, 40)
"""About a core-second: all end within the grace period, and not at once."""
GRACE_AND_EXIT_SECONDS = 60.0


def sigterm(stage: Stage) -> Outcome:
    """As an orchestrator stops it."""
    return _stopped(stage, signal.SIGTERM)


def sigint(stage: Stage) -> Outcome:
    """As Ctrl-C stops it."""
    return _stopped(stage, signal.SIGINT)


def _stopped(stage: Stage, number: signal.Signals) -> Outcome:
    everything = descendants(stage.pid)
    with ThreadPoolExecutor(1) as callers:
        posted = callers.submit(all_at_once, stage.url, JOB, JOBS)
        in_flight = stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == JOBS), 10)
        begun = time.monotonic()
        code = stage.service.stop(number, GRACE_AND_EXIT_SECONDS)
        stopped_after = time.monotonic() - begun
    return outcome_of(
        posted.result(),
        Check("all in flight after, s", in_flight, 10, quiet=True),
        Check("exit code", code, 0, "="),
        Check("stopped after, s", stopped_after, GRACE_AND_EXIT_SECONDS),
        Check("processes left", len(alive(everything)), 0),
    )

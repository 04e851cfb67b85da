"""Signals to the launcher with jobs in flight: each stops the service that it is given."""

import asyncio
import signal
import threading
import time

from chaos.caller import UnansweredError, post
from chaos.jobs import JobSpec
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import OK, Record, Request
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
    record = Record([Request(n, JOB, 0.0) for n in range(JOBS)])
    callers = threading.Thread(target=lambda: asyncio.run(_post_all(stage.url, record)))
    callers.start()
    stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == JOBS), 10)
    begun = time.monotonic()
    code = stage.service.stop(number, GRACE_AND_EXIT_SECONDS)
    stopped_after = time.monotonic() - begun
    callers.join()
    return outcome_of(
        record,
        Check("exit code", code, 0, "="),
        Check("stopped after, s", stopped_after, GRACE_AND_EXIT_SECONDS),
        Check("processes left", len(alive(everything)), 0),
    )


async def _post_all(url: str, record: Record) -> None:
    begun = time.perf_counter()

    async def post_one(request: Request) -> None:
        try:
            answer = await post(url, request.job.body)
        except UnansweredError as error:
            request.failed(str(error))
        else:
            request.answered(answer.status, answer.headers, answer.json() if answer.status == OK else None)
        request.ended = time.perf_counter() - begun

    await asyncio.gather(*(post_one(request) for request in record.requests))

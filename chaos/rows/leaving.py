"""Callers that leave at random moments."""

import asyncio
import contextlib
import random
import time

import httpx

from chaos.caller import UnansweredError, post
from chaos.jobs import JobSpec, mixed_jobs
from chaos.outcome import Check, Outcome
from chaos.stage import IDLE_CPU, Stage
from tests.serve import bounds

HEAVY_JOB = JobSpec(300_000, 4)
"""Every second caller's; the others have mixed ones, and some of them are answered before they leave."""
MOST_SECONDS = 1.0
CALLERS_PER_SECOND = 60
"""About as many are there at a time."""
FULL_SPEED_JOB = {"sequence_size": 100_000, "num_sequences": 32}
FULL_SPEED = 1.5
"""Times as long as before that the next job may take; a leaked slot or a zombie batch makes it 2."""


def callers_leave(stage: Stage, callers: int = 1_000, full_speed: float | None = FULL_SPEED) -> Outcome:
    """So many callers, each gone within a second: while they queue, are computed for, or are answered.

    ``full_speed`` bounds a ratio of speeds; None only tells it.
    """
    before = _full_speed_seconds(stage)
    answered = asyncio.run(_come_and_go(stage.url, callers))
    time.sleep(bounds.CANCELLED_CPU_IDLE)
    busy = stage.busy_cpu(1.0)
    pool = stage.pool()
    after = _full_speed_seconds(stage)
    return Outcome(
        requests=callers,
        checks=[
            Check("answered before they left", answered, 1, ">="),
            Check("CPUs busy 0.5 s after the last left", busy, IDLE_CPU),
            Check("queue entries leaked", pool["queued_jobs"], 0),
            Check("jobs leaked", pool["unfinished_jobs"], 0),
            Check("next job's time / before", after / before, full_speed),
            *stage.left_behind(),
        ],
    )


def _full_speed_seconds(stage: Stage) -> float:
    """The better of two: one may meet a hiccup of the machine."""
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        httpx.post(f"{stage.url}/fibonacci", json=FULL_SPEED_JOB, timeout=120).raise_for_status()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


async def _come_and_go(url: str, callers: int) -> int:
    """How many had their answer before they left."""
    moments = random.Random(1)  # noqa: S311 (not for secrets)

    async def come_and_go(after: float, job: JobSpec, stays: float) -> bool:
        await asyncio.sleep(after)
        with contextlib.suppress(TimeoutError, UnansweredError):
            async with asyncio.timeout(stays):
                await post(url, job.body)
                return True
        return False

    visits = [
        come_and_go(number / CALLERS_PER_SECOND, HEAVY_JOB if number % 2 else job, moments.uniform(0, MOST_SECONDS))
        for number, job in zip(range(callers), mixed_jobs(), strict=False)
    ]
    return sum(await asyncio.gather(*visits))

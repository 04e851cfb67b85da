"""Callers that leave at random moments."""

import asyncio
import random
import time

import httpx

from chaos.caller import Answer, UnansweredError, post
from chaos.jobs import JobSpec, digest, mixed_jobs, true_digest
from chaos.outcome import Check, Outcome
from chaos.record import OK
from chaos.stage import IDLE_CPU, Stage
from harness import bounds

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

    ``full_speed`` bounds a ratio of speeds; None only reports it.
    """
    before = _full_speed_seconds(stage)
    visits = asyncio.run(_come_and_go(stage.url, callers))
    time.sleep(bounds.CANCELLED_CPU_IDLE)
    busy = stage.busy_cpu(1.0)
    pool = stage.pool()
    after = _full_speed_seconds(stage)
    answered = [(job, answer) for job, answer in visits if answer is not None]
    failed = sum(answer.status != OK for _, answer in answered)
    wrong = sum(answer.status == OK and digest(answer.json()) != true_digest(job) for job, answer in answered)
    return Outcome(
        requests=callers,
        failed=failed,
        wrong=wrong,
        checks=[
            Check("failed", failed, 0, quiet=True),
            Check("wrong", wrong, 0, quiet=True),
            Check("answered before they left", len(answered), 1, ">="),
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


Visit = tuple[JobSpec, Answer | None]


async def _come_and_go(url: str, callers: int) -> list[Visit]:
    """Each caller's job, and the answer that it had before it left; status 0 is a connection that was closed on it."""
    moments = random.Random(1)  # noqa: S311 (not for secrets)

    async def come_and_go(after: float, job: JobSpec, stays: float) -> Visit:
        await asyncio.sleep(after)
        try:
            async with asyncio.timeout(stays):
                return job, await post(url, job.body)
        except TimeoutError:
            return job, None
        except UnansweredError:
            return job, Answer(0, {}, b"")

    visits = [
        come_and_go(number / CALLERS_PER_SECOND, HEAVY_JOB if number % 2 else job, moments.uniform(0, MOST_SECONDS))
        for number, job in zip(range(callers), mixed_jobs(), strict=False)
    ]
    return await asyncio.gather(*visits)

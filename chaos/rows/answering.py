"""How soon requests about durable jobs are answered, and how soon a cancelled one is computed no further."""

import asyncio
import contextlib
import os
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from chaos.durable_client import DurableClient
from chaos.durable_jobs import TINY, job_of, jobs_left, until_kept
from chaos.durable_load import PATIENCE_SECONDS, durable_load
from chaos.history import Act, History
from chaos.jobs import JobSpec
from chaos.outcome import Check, Outcome
from chaos.rows.yielding import ENDLESS_SECONDS
from chaos.stage import IDLE_CPU, Stage
from chaos.verdict import outcome_of_jobs
from harness import bounds
from harness.callers import LONG_JOB, open_request
from harness.figures import percentile

REQUESTS, A_SECOND = 200, 20.0
"""Of each kind, and how fast."""
CALLERS, CALLERS_A_SECOND = 1_000, 50.0
HEAVY = JobSpec(300_000, 30)
"""Core-seconds: none is done before it is cancelled."""
MOST_SECONDS = 1.0
LATER_SECONDS = 2.0
"""When cancelled jobs are looked at again."""
BUSY_SECONDS = 2.0
COMMIT_BYTES, COMMITS = 16_384, 100
SETTLED_SECONDS = 60.0


def answered(stage: Stage) -> Outcome:
    """202s of an idle service; then those, and GET /jobs/{id}, while synchronous jobs and a durable one fill it."""
    disk = _fsync_p99(stage)
    with durable_load(stage.url) as load:
        asyncio.run(_submit(load.history, stage.url))
        idle = load.history.seconds_of(Act.SUBMIT)
        with contextlib.ExitStack() as callers:
            job = job_of(stage, ENDLESS_SECONDS)
            posted = load.post(job)
            until_kept(load, job, posted)
            for _ in range(stage.num_workers):
                callers.enter_context(open_request(stage.service, LONG_JOB))
            time.sleep(BUSY_SECONDS)
            busy_cpu = stage.busy_cpu(1.0)
            before = len(load.history.operations)
            asyncio.run(_submit(load.history, stage.url, job, posted.job_id))
            busy = History(load.history.operations[before:])
            load.cancel(job, posted.job_id)
        load.settled(SETTLED_SECONDS)
    accepted, read = busy.seconds_of(Act.SUBMIT), busy.seconds_of(Act.READ)
    return outcome_of_jobs(
        load.history,
        Check("202 of an idle service p99, s", percentile(idle, 99), bounds.ACCEPTED_P99),
        Check("202 of a busy one p99, s", percentile(accepted, 99), bounds.ACCEPTED_BUSY_P99),
        Check("status of a busy one p99, s", percentile(read, 99), bounds.STATUS_P99),
        Check("a write of its disk p99, s", disk),
        Check("CPUs that the workers got meanwhile", busy_cpu),
        Check("answers of each kind", min(map(len, (idle, accepted, read))), REQUESTS * 0.9, ">=", quiet=True),
        *jobs_left(stage),
        least=2 * REQUESTS,
    )


def cancelled(stage: Stage) -> Outcome:
    """So many callers, each of whom cancels its job within a second."""
    history = History()
    asyncio.run(_come_and_cancel(history, stage.url))
    time.sleep(bounds.CANCELLED_CPU_IDLE)
    busy = stage.busy_cpu(1.0)
    time.sleep(LATER_SECONDS)
    asyncio.run(DurableClient(stage.url, history, PATIENCE_SECONDS).look_at_all())
    return outcome_of_jobs(
        history,
        Check("answers to cancellations p99, s", percentile(history.seconds_of(Act.CANCEL), 99), bounds.CANCEL_P99),
        Check("202 p99, s", percentile(history.seconds_of(Act.SUBMIT), 99)),
        Check("CPUs busy 0.5 s after the last", busy, IDLE_CPU),
        *jobs_left(stage),
        least=CALLERS,
    )


async def _come_and_cancel(history: History, url: str) -> None:
    client = DurableClient(url, history, PATIENCE_SECONDS)
    moments = random.Random(1)  # noqa: S311 (not for secrets)

    async def come_and_cancel(after: float, key: str, stays: float) -> None:
        await asyncio.sleep(after)
        seen = await client.submit(HEAVY, key)
        await asyncio.sleep(stays)
        await client.cancel(HEAVY, seen.job_id)

    visits = zip(range(CALLERS), _keys(), strict=False)
    await asyncio.gather(
        *(come_and_cancel(n / CALLERS_A_SECOND, key, moments.uniform(0, MOST_SECONDS)) for n, key in visits)
    )


async def _submit(history: History, url: str, read: JobSpec | None = None, job_id: str = "") -> None:
    """Tiny jobs, evenly spaced; with ``read`` that job is looked at between them."""
    client = DurableClient(url, history, PATIENCE_SECONDS)
    begun = time.monotonic()
    async with asyncio.TaskGroup() as asked:
        for number, key in zip(range(REQUESTS), _keys(), strict=False):
            await asyncio.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))
            asked.create_task(client.submit(TINY, key))
            if read is not None:
                await asyncio.sleep(0.5 / A_SECOND)
                asked.create_task(client.read(read, job_id))


def _keys() -> Iterator[str]:
    while True:
        yield secrets.token_hex(8)


def _fsync_p99(stage: Stage) -> float:
    """Seconds that the disk itself takes to keep as much as a commit writes."""
    if stage.folder is None:
        raise RuntimeError("the durable jobs are in no folder")
    path, seconds = Path(stage.folder, "probe"), []
    with path.open("wb") as file:
        for _ in range(COMMITS):
            begun = time.perf_counter()
            file.write(bytes(COMMIT_BYTES))
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    path.unlink()
    return percentile(seconds, 99)

"""Whatever keeps coming, nobody waits for ever: at the workers, in the queue, behind others. All in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.job import Execution, Job
from app.queue.lanes import SHORT_SECONDS
from harness.figures import percentile
from harness.virtual_time import run_virtually
from tests.simulated_pool import SimulatedPool, job, local, submit

MILLISECOND = 0.001
CALLERS = 32
BOTH_TIMES = 1.6
"""Of 32 callers who post jobs of equal size: the slowest may take so many times as long as the median."""


@contextlib.asynccontextmanager
async def closed_loop(pool: SimulatedPool, posted: Job, callers: int = CALLERS) -> AsyncIterator[list[float]]:
    """So many callers post the job again and again; how long each took."""
    now = asyncio.get_running_loop().time
    seconds: list[float] = []

    async def call() -> None:
        while not over:
            begun = now()
            await pool.dispatcher.run(posted)
            seconds.append(now() - begun)

    over = False
    tasks = [asyncio.create_task(call()) for _ in range(callers)]
    yield seconds
    over = True
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("caller", ["", "another"], ids=["the same caller", "another caller"])
@pytest.mark.parametrize(
    ("posted", "most_seconds"),
    [(local(2.0), 6.0), (job(0.2, 10), 3.0)],
    ids=["a local job of 2 s", "10 x 0.2 s, distributed"],
)
def test_beside_32_callers_of_tiny_jobs(posted: Job, most_seconds: float, caller: str) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        async with closed_loop(pool, job(3 * MILLISECOND)):
            await asyncio.sleep(2.0)
            mine = replace(posted, caller=caller)
            (result,) = await pool.dispatcher.run(mine)
        assert result.timing.total_seconds <= most_seconds
        assert {record.attempts for record in result.batches} == {1}
        assert not any(call.outcome == "cancelled" for call in pool.calls), "no second copy"
        terms = sum(s.stop - s.start for call in pool.calls for s in call.batch.segments if s.stop > 40_000)
        assert terms <= sum(result.counts), "no second copy"

    run_virtually(main())


@pytest.mark.parametrize("seconds", [0.02, 0.031, 0.05, 0.1])
def test_32_callers_of_one_sequence_each_are_served_alike(seconds: float) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        async with closed_loop(pool, job(seconds)) as taken:
            await asyncio.sleep(20.0)
        assert percentile(taken, 99) <= BOTH_TIMES * percentile(taken, 50)

    run_virtually(main())


def test_callers_of_unequal_jobs_are_served_in_proportion() -> None:
    """The longer jobs are cut, and those who come and go meanwhile must not always pass what is left of them."""

    async def main() -> None:
        pool = SimulatedPool(2)
        async with closed_loop(pool, job(0.02), 30), closed_loop(pool, job(0.2, 3), 2) as long:
            await asyncio.sleep(60.0)
        assert len(long) >= 6
        assert max(long) <= 1.2 * 3 * 0.2 * 32 / 2 + 1.0

    run_virtually(main())


def test_a_stream_of_new_callers_does_not_keep_a_job_of_several_batches_waiting() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        streams = [submit(pool, job(0.1, caller=f"caller {number}")) for number in range(20)]
        mine = submit(pool, job(0.2, 5, caller="mine"))
        number = 20
        while not mine.done():
            await asyncio.sleep(0.05)
            streams.append(submit(pool, job(0.1, caller=f"caller {number}")))
            number += 1
            assert number < 1_000
        for task in streams:
            task.cancel()
        (result,) = mine.result()
        assert result.timing.total_seconds < 30.0

    run_virtually(main())


# Short behind medium


def test_a_short_job_does_not_wait_behind_one_that_has_no_place() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        others = [submit(pool, local(0.9)) for _ in range(3)]
        await asyncio.sleep(0.1)
        (result,) = await pool.dispatcher.run(job(MILLISECOND))
        assert result.timing.queued_seconds == 0.0
        assert result.timing.total_seconds <= 0.03
        await asyncio.gather(*others)

    run_virtually(main())


@pytest.mark.parametrize("execution", Execution)
def test_however_many_wait_before_it(execution: Execution) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        others = [submit(pool, job(0.3, execution=execution)) for _ in range(20)]
        for _ in range(10):
            await asyncio.sleep(0.1)
            (result,) = await pool.dispatcher.run(job(MILLISECOND))
            assert result.timing.queued_seconds == 0.0
            assert result.timing.total_seconds <= 0.05
        await asyncio.gather(*others)

    run_virtually(main())


def test_short_jobs_leave_a_place_to_a_longer_one() -> None:
    """They may have three places on a worker, but not when another waits for one."""

    async def main() -> None:
        pool = SimulatedPool(2, latency_seconds=0.02)
        async with closed_loop(pool, job(9 * MILLISECOND), 60):
            await asyncio.sleep(1.0)
            for _ in range(5):
                (result,) = await pool.dispatcher.run(local(0.1))
                assert result.timing.queued_seconds <= 0.1

    run_virtually(main())


# Gathering


async def num_batches_of_tiny_jobs(*beside: Job) -> int:
    """How many batches 640 tiny jobs of 32 callers make while jobs run under one admission."""
    pool = SimulatedPool(2)
    long = submit(pool, *beside)
    await asyncio.sleep(5.0)
    sent = len(pool.calls)
    for _ in range(20):
        await asyncio.gather(*(submit(pool, job(0.1 * MILLISECOND)) for _ in range(CALLERS)))
    long.cancel()
    return len(pool.calls) - sent


def test_tiny_jobs_gather_beside_a_comparison_and_beside_long_jobs_that_wait() -> None:
    async def main() -> None:
        alone = await num_batches_of_tiny_jobs(local(600.0))
        compared = await num_batches_of_tiny_jobs(local(600.0), job(600.0))
        assert compared <= 1.1 * alone < 640 / 3

    run_virtually(main())


def test_tiny_jobs_gather_beside_long_jobs_that_wait_for_a_place() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        longs = [submit(pool, local(600.0)) for _ in range(9)]
        await asyncio.sleep(5.0)
        sent = len(pool.calls)
        tiny = [submit(pool, job(0.1 * MILLISECOND)) for _ in range(CALLERS)]
        await asyncio.gather(*tiny)
        assert len(pool.calls) - sent <= 4
        assert all(call.predicted_seconds <= SHORT_SECONDS for call in pool.calls[sent:])
        for task in longs:
            task.cancel()

    run_virtually(main())

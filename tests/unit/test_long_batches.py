"""Local jobs of minutes, which cannot be cut: whom they hold up, and whom they must not. All in virtual time."""

import asyncio

import pytest

from app.dispatch.retries import ALONE_SECONDS
from app.errors import DeadlineError
from app.job import Job
from app.queue.lanes import LONG_SECONDS, MAX_LONG
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, SimulatedPool, assert_nothing_is_left, job, local

TURN_SECONDS = 0.25


def minutes(seconds: float = 100.0, caller: str = "") -> Job:
    return local(seconds, caller)


async def seconds_until_done(pool: SimulatedPool, *jobs: Job) -> float:
    begun = asyncio.get_running_loop().time()
    await pool.dispatcher.run(*jobs)
    return asyncio.get_running_loop().time() - begun


@pytest.mark.parametrize("caller", ["", "another"], ids=["the same caller", "another caller"])
@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.5])
def test_however_many_there_are_others_are_served(seconds: float, caller: str) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        longs = [asyncio.create_task(pool.dispatcher.run(minutes())) for _ in range(7)]
        await asyncio.sleep(5.0)  # first turns are over
        assert len(pool.calls) == 2 * MAX_LONG
        assert await seconds_until_done(pool, job(seconds, caller=caller)) < seconds + 4 * TURN_SECONDS
        for long in longs:
            long.cancel()
        await asyncio.sleep(1.0)
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_those_that_wait_for_room_come_in_their_turn() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        longs = [asyncio.create_task(pool.dispatcher.run(minutes(10.0 + number))) for number in range(5)]
        await asyncio.gather(*longs)
        assert [call.batch.segments[0].stop for call in pool.calls] == sorted(
            call.batch.segments[0].stop for call in pool.calls
        )
        assert pool.most_in_flight == MAX_LONG
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_local_job_that_is_not_long_takes_a_place_like_others() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        jobs = [asyncio.create_task(pool.dispatcher.run(minutes(LONG_SECONDS / 2))) for _ in range(6)]
        await asyncio.gather(*jobs)
        assert pool.most_in_flight == 2

    run_virtually(main())


def test_one_that_lost_its_worker_does_not_keep_the_next_to_itself() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        longs = [asyncio.create_task(pool.dispatcher.run(minutes())) for _ in range(2)]
        await asyncio.sleep(1.0)
        for worker_id in pool.worker_ids:
            pool.kill(worker_id)
        asyncio.get_running_loop().call_later(6.0, pool.join, 2)
        await asyncio.sleep(6.1)
        first = await seconds_until_done(pool, job(0.005))
        assert 0.5 * ALONE_SECONDS < first < ALONE_SECONDS + 2 * TURN_SECONDS, "at first it is alone"
        for _ in range(3):
            assert await seconds_until_done(pool, job(0.005)) < 2 * TURN_SECONDS
        await asyncio.gather(*longs)
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_what_was_not_computed_of_a_job_that_ends_early_is_not_charged() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_compute_seconds=1e6))
        other = asyncio.create_task(pool.dispatcher.run(job(4.0, num_lines=200, caller="bob")))
        await asyncio.sleep(1.0)
        with pytest.raises(DeadlineError):
            await pool.dispatcher.run(minutes(caller="alice"), timeout_seconds=1.0)
        assert await seconds_until_done(pool, job(0.005, caller="alice")) < 1.0
        other.cancel()

    run_virtually(main())


def test_beside_one_that_is_late_because_its_worker_is_slow_others_are_served() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, ROOMY, speed=0.2)
        long = asyncio.create_task(pool.dispatcher.run(minutes(60.0)))
        await asyncio.sleep(250.0)
        assert len(pool.probes) == 1, "it was late, and asked whether it lives"
        for _ in range(3):
            assert await seconds_until_done(pool, job(0.005)) < 2.0
        await long
        assert len(pool.calls) == 4, "nobody but its own worker computes it"

    run_virtually(main())

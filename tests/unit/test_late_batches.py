"""The dispatcher when a worker stands still without being dead. All in virtual time."""

import asyncio
from collections import Counter

import pytest

from app.dispatch.dispatcher import Dispatcher
from app.dispatch.in_flight import LATE_FACTOR, LATE_FACTOR_AN_INGRESS, LATE_SECONDS
from app.dispatch.watch import WATCH_SECONDS
from app.errors import ComputationError
from app.job import Batch, BatchResult, Execution
from app.queue.lanes import Lane
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, Call, SimulatedPool, assert_nothing_is_left, job, local, submit


def outcomes(pool: SimulatedPool, worker_id: str) -> Counter[str]:
    return Counter(call.outcome for call in pool.calls if call.worker_id == worker_id)


def num_units(pool: SimulatedPool, outcome: str = "") -> int:
    """Terms that were sent to workers."""
    calls = [call for call in pool.calls if outcome in ("", call.outcome)]
    return sum((s.stop - s.start) * s.count for call in calls for s in call.batch.segments)


async def idle(pool: SimulatedPool) -> None:
    """What was late has come back, suspensions are over, and nothing is left."""
    await asyncio.sleep(10.0)
    assert_nothing_is_left(pool)


def test_what_a_frozen_worker_has_is_computed_elsewhere_and_no_attempt_is_used_up() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        task = submit(pool, job(0.1, 60))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 60
        assert {record.attempts for record in result.batches} == {1}
        assert "w1" in {record.worker_id for record in result.batches}  # what it did before
        assert outcomes(pool, "w1")["cancelled"] == 2
        in_flight_seconds = 2 * ROOMY.batch_ceiling_seconds
        assert result.timing.total_seconds < 60 * 0.1 / 2 + LATE_SECONDS + LATE_FACTOR * in_flight_seconds + 0.5

    run_virtually(main())


def test_nothing_is_late_because_others_have_the_cores_too() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, speed=0.05)
        await pool.dispatcher.run(job(0.1, 100))
        pool.calls.clear()
        await pool.dispatcher.run(job(60.0, execution=Execution.LOCAL))
        assert [call.outcome for call in pool.calls] == ["returned"]

    run_virtually(main())


def test_a_frozen_worker_gets_nothing_more_and_is_used_again_once_it_goes_on() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(0.1, 400))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        await asyncio.sleep(15.0)
        assert max(call.sent_at for call in pool.calls if call.worker_id == "w1") <= 0.5
        pool.thaw("w1")
        await asyncio.sleep(1.0)
        assert sum(call.sent_at > 15.0 for call in pool.calls if call.worker_id == "w1") > 1
        (result,) = await task
        assert result.counts == [result.job.task.length] * 400
        await idle(pool)

    run_virtually(main())


def test_the_first_result_counts_and_the_second_is_not_counted_again() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(0.1, 100))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        await asyncio.sleep(4.5)
        pool.thaw("w1")
        (result,) = await task
        assert sum(record.num_units for record in result.batches) == sum(result.counts)
        await idle(pool)
        assert outcomes(pool, "w1")["running"] == 0

    run_virtually(main())


def test_a_late_batch_whose_worker_then_dies_is_not_sent_a_third_time() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        task = submit(pool, job(0.1, 400))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        late_at = max(
            flight.due_at for flight in pool.dispatcher._scheduler._flights if flight.worker.worker_id == "w1"
        )
        await asyncio.sleep(late_at - asyncio.get_running_loop().time() + WATCH_SECONDS)
        pool.kill("w1")
        (result,) = await task
        assert outcomes(pool, "w1")["lost"] == 2
        assert num_units(pool) == sum(result.counts) + num_units(pool, outcome="lost")
        assert {record.attempts for record in result.batches} == {1, 2}, "what was on it when it died has used one"
        assert sum(result.counts) == 400 * result.job.task.length
        await idle(pool)

    run_virtually(main())


def test_a_job_that_hangs_its_workers_until_they_are_killed_fails_after_three() -> None:
    class HangingPool(SimulatedPool):
        """A worker that begins the poison stands still; it is killed 15 s later."""

        def begins(self, call: Call) -> None:
            if any(segment.stop == poison.task.length for segment in call.batch.segments):
                self.freeze(call.worker_id)
                self._loop.call_later(15.0, self.kill, call.worker_id)

    async def main() -> None:
        pool = HangingPool(8)
        pool.replacement_seconds = 6.0
        poisoned = submit(pool, poison)
        others = []
        for _ in range(60):
            others.append(submit(pool, job(0.005)))
            await asyncio.sleep(1.0)
        with pytest.raises(ComputationError):
            await poisoned
        seconds = [result.timing.total_seconds for (result,) in await asyncio.gather(*others)]
        assert max(seconds) < 10.0

    poison = job(0.006)
    run_virtually(main())


def test_the_copy_of_a_late_batch_never_goes_to_a_worker_that_still_has_it() -> None:
    async def main() -> None:
        pool = SimulatedPool(0, by_hand=True)
        pool.join()
        tasks = [submit(pool, local(10.0))]
        await asyncio.sleep(41.0)
        tasks.append(submit(pool, job(0.005)))
        await asyncio.sleep(1.5)
        pool.out[1].succeed()  # so it lives, and takes batches again
        await asyncio.sleep(0.1)
        assert len(pool.out) == 1
        pool.out[0].fail()
        await asyncio.sleep(0.1)
        assert len(pool.out) == 1, "now it has the batch no more, and can have it again"
        pool.out[0].succeed()
        await asyncio.gather(*tasks)

    run_virtually(main())


@pytest.mark.parametrize("lives", [True, False])
def test_a_late_worker_whose_code_raises_lives(lives: bool) -> None:
    async def main() -> None:
        pool = SimulatedPool(2, by_hand=True)
        task = submit(pool, job(0.02))
        await asyncio.sleep(3.0)
        (late,) = pool.out
        if lives:
            late.fail()
        else:
            late.lose()
        await asyncio.sleep(0.1)
        questions = pool.dispatcher._scheduler._pool.questions
        assert {worker.worker_id for worker in questions} == ({"w1"} if lives else {"w0", "w1"})
        task.cancel()

    run_virtually(main())


def all_live(pool: SimulatedPool) -> None:
    """Every question is answered."""
    for probe in pool.asked:
        probe.succeed()


def test_a_copy_that_is_lost_as_the_other_comes_back_fails_nobody() -> None:
    async def main() -> None:
        pool = SimulatedPool(5, by_hand=True)
        task = submit(pool, job(0.02))
        for _ in range(2):
            await asyncio.sleep(0.01)
            pool.out[0].lose()
            await asyncio.sleep(0.01)
            all_live(pool)
        await asyncio.sleep(4.0)
        all_live(pool)
        await asyncio.sleep(0.01)
        first, second = pool.out
        first.succeed()
        second.lose()
        await task

    run_virtually(main())


def test_a_second_worker_that_freezes_too_is_no_harm() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        task = submit(pool, job(0.1, 60))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        await asyncio.sleep(4.5)
        pool.freeze("w2")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 60
        pool.thaw("w1")
        pool.thaw("w2")
        await idle(pool)

    run_virtually(main())


def test_a_worker_that_freezes_after_an_idle_time_is_noticed_too() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        await submit(pool, job(0.1, 20))
        await idle(pool)
        task = submit(pool, job(0.1, 20))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 20

    run_virtually(main())


def test_jobs_wait_while_every_worker_stands_still() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(0.1, 20))
        await asyncio.sleep(0.5)
        pool.freeze("w0")
        pool.freeze("w1")
        await asyncio.sleep(20.0)
        assert not task.done()
        pool.thaw("w0")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 20

    run_virtually(main())


def test_a_long_local_job_that_is_late_is_stopped_when_it_is_done_elsewhere() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(5.0, 1, Execution.LOCAL))
        await asyncio.sleep(1.0)
        pool.freeze(first := pool.calls[0].worker_id)
        await task
        assert outcomes(pool, first) == {"cancelled": 1}
        await idle(pool)

    run_virtually(main())


def test_a_caller_of_a_late_batch_may_leave() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(0.1, 60))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        await asyncio.sleep(5.0)
        task.cancel()
        await asyncio.sleep(0.1)
        assert outcomes(pool, "w0")["running"] == 0
        pool.thaw("w1")
        await idle(pool)

    run_virtually(main())


def test_small_jobs_do_not_wait_for_those_that_a_frozen_worker_has() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        others = [submit(pool, job(seconds, execution=Execution.LOCAL)) for seconds in (0.15, 0.02, 0.3)]
        await asyncio.sleep(0.05)
        pool.freeze("w1")
        stuck = [submit(pool, job(0.001))]
        await asyncio.sleep(0.15)
        stuck.append(submit(pool, job(0.001)))
        await asyncio.gather(*others)
        assert any(call.worker_id == "w1" and call.predicted_seconds < 0.01 for call in pool.out)
        for _ in range(10):
            await asyncio.sleep(0.5)
            (result,) = await asyncio.wait_for(submit(pool, job(0.001)), 1.0)
            assert result.timing.total_seconds < 0.1
        await asyncio.gather(*stuck)

    run_virtually(main())


def test_a_late_batch_takes_no_place_among_the_short_ones() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        pool.freeze("w0")
        pool.freeze("w1")
        stuck = [submit(pool, job(0.001)) for _ in range(10)]
        await asyncio.sleep(3.0)
        flights = pool.dispatcher._scheduler._flights
        assert {(flight.lane, flight.late) for flight in flights} == {(Lane.EXPRESS, True)}
        assert flights.num_express == 0
        pool.thaw("w0")
        await asyncio.gather(*stuck)
        await idle(pool)

    run_virtually(main())


def test_a_batch_that_was_only_late_tells_of_one_attempt() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        task = submit(pool, job(0.1, execution=Execution.LOCAL))
        await asyncio.sleep(0.05)
        pool.freeze("w0")
        await asyncio.sleep(3.0)
        assert pool.dispatcher._scheduler._retries, "it waits for another worker"
        pool.thaw("w0")
        (result,) = await task
        assert [record.attempts for record in result.batches] == [1]
        assert len(pool.calls) == 1
        await idle(pool)

    run_virtually(main())


def test_a_small_job_behind_a_long_one_need_not_wait_for_the_long_one_to_be_late() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_compute_seconds=1e6, max_queued_seconds=1e6))
        long = submit(pool, job(100.0, 1, Execution.LOCAL))
        await asyncio.sleep(1.0)
        pool.freeze(pool.calls[0].worker_id)
        results = [(await submit(pool, job(0.001)))[0] for _ in range(4)]
        assert max(result.timing.total_seconds for result in results) < LATE_SECONDS + 1.0
        long.cancel()

    run_virtually(main())


def test_when_the_ingress_itself_stood_still_nothing_is_late(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        loop = asyncio.get_running_loop()
        stood_still_seconds = 0.0
        scheduler = pool.dispatcher._scheduler
        scheduler._clock = scheduler._watch._clock = lambda: loop.time() + stood_still_seconds
        task = submit(pool, job(0.1, 60))
        await asyncio.sleep(0.51)
        stood_still_seconds = 30.0
        (result,) = await task
        assert Counter(call.outcome for call in pool.calls).keys() == {"returned"}
        assert num_units(pool) == sum(result.counts)
        assert not caplog.records

    run_virtually(main())


def test_when_a_batch_is_late_depends_on_what_is_computed_before_it() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        tasks = [submit(pool, job(10.0)), submit(pool, job(0.001))]
        await asyncio.sleep(0)
        first, second, short = sorted(
            pool.dispatcher._scheduler._flights, key=lambda flight: (flight.lane is Lane.EXPRESS, flight.due_at)
        )
        assert short.due_at == LATE_SECONDS + LATE_FACTOR * short.seconds
        assert first.due_at == LATE_SECONDS + LATE_FACTOR * first.seconds
        assert second.due_at == LATE_SECONDS + LATE_FACTOR * (first.seconds + second.seconds)
        await asyncio.gather(*tasks)

    run_virtually(main())


def test_a_dispatcher_among_many_waits_longer_before_a_batch_is_late() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def frozen(worker_id: str, batch: Batch) -> BatchResult:
            sent_at.append(loop.time())
            never: asyncio.Future[BatchResult] = loop.create_future()
            return await never

        dispatcher = Dispatcher(frozen, ROOMY, loop.time, num_ingresses=8)
        dispatcher.set_workers(["w0", "w1"])
        task = asyncio.create_task(dispatcher.run(job(10.0, execution=Execution.LOCAL)))
        await asyncio.sleep(200.0)
        task.cancel()
        first, again = sent_at[:2]
        assert again - first == pytest.approx(LATE_SECONDS + 8 * LATE_FACTOR_AN_INGRESS * 10.0, abs=1.0)

    sent_at: list[float] = []
    run_virtually(main())

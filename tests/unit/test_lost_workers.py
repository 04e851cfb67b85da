"""The dispatcher when workers die, leave, join or compute wrongly. All in virtual time."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from app.dispatch.dispatcher import Dispatcher
from app.errors import ComputationError, NoWorkerError, WorkerLostError
from app.job import Batch, Segment
from app.queue.lanes import MAX_FULL_AND_EXPRESS
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, SimulatedPool, assert_nothing_is_left, job, local, submit
from tests.tasks import job_of

MILLISECOND = 0.001
POISON_SIZE = 666


def is_poison(segment: Segment) -> bool:
    return segment.stop == POISON_SIZE


async def settled(pool: SimulatedPool) -> None:
    """After suspensions and notices are over nothing may be left."""
    await asyncio.sleep(5.0)
    assert_nothing_is_left(pool)


# Lost workers


def test_a_job_survives_the_loss_of_a_worker() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(1.05)
        pool.kill("w1")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 20
        assert Counter(call.outcome for call in pool.calls)["lost"] >= 2
        await settled(pool)

    run_virtually(main())


def test_attempts_tell_which_batches_went_again() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(1.05)
        pool.kill("w1", notice_seconds=0.0)
        (result,) = await task
        again = [record for record in result.batches if record.attempts == 2]
        assert len(again) == sum(call.outcome == "lost" for call in pool.calls)
        assert all(record.worker_id != "w1" for record in again)
        assert {record.attempts for record in result.batches} == {1, 2}

    run_virtually(main())


def test_a_lost_batch_goes_before_what_was_not_sent_yet() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(1.05)
        lost = {call.batch for call in pool.calls if call.worker_id == "w1" and call.outcome == "running"}
        num_calls = len(pool.calls)
        pool.kill("w1")
        await asyncio.sleep(1.0)
        assert {call.batch for call in pool.calls[num_calls : num_calls + 2]} == lost
        await task

    run_virtually(main())


def test_a_worker_that_lost_a_batch_gets_no_other() -> None:
    """Serve says only later that it is gone: until then it would swallow batch after batch."""

    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(1.05)
        pool.kill("w1", notice_seconds=0.9)
        await task
        assert sum(call.outcome == "lost" for call in pool.calls) == 2
        await settled(pool)

    run_virtually(main())


def test_a_worker_that_was_only_unreachable_is_asked_every_second_and_used_again() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        pool.refuse("w1")
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(3.5)
        pool.reconnect("w1")
        (result,) = await task
        assert result.timing.num_workers == 2
        sent = [call.sent_at for call in pool.calls if call.worker_id == "w1"]
        assert min(moment for moment in sent if moment > 0) == pytest.approx(4.0, abs=0.5)
        asked = [probe.sent_at for probe in pool.probes if probe.worker_id == "w1"]
        assert [b - a for a, b in itertools.pairwise(asked)] == pytest.approx([1.0] * len(asked[1:]), abs=0.3)

    run_virtually(main())


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
def test_workers_that_are_listed_but_unreachable_use_up_the_attempt_in_flight_and_no_other(
    num_workers: int, hangs: bool
) -> None:
    """For longer than it takes to use up three attempts; then they answer, and the jobs go on."""

    async def main() -> None:
        pool = SimulatedPool(num_workers, ROOMY.model_copy(update={"worker_wait_seconds": 100.0}))
        tasks = [submit(pool, local(0.5)), submit(pool, job(0.3, 20)), submit(pool, job(MILLISECOND))]
        await asyncio.sleep(0.2)
        for worker_id in pool.worker_ids:
            (pool.cut_off if hangs else pool.refuse)(worker_id)
        await asyncio.sleep(10.0)
        tasks.append(submit(pool, job(MILLISECOND)))
        await asyncio.sleep(50.0)
        assert not tasks[-1].done()
        num_calls = len(pool.calls)
        await asyncio.sleep(10.0)
        assert len(pool.calls) == num_calls, "nothing but probes"
        for worker_id in pool.worker_ids:
            pool.reconnect(worker_id)
        results = [result for (result,) in await asyncio.gather(*tasks)]
        assert max(record.attempts for result in results for record in result.batches) <= 2
        await settled(pool)

    run_virtually(main())


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
def test_if_none_of_them_answers_jobs_end_as_without_a_worker(num_workers: int, hangs: bool) -> None:
    async def main() -> None:
        pool = SimulatedPool(num_workers, ROOMY.model_copy(update={"worker_wait_seconds": 30.0}))
        tasks = [submit(pool, local(0.5)), submit(pool, job(0.3, 20)), submit(pool, job(MILLISECOND))]
        await asyncio.sleep(0.2)
        for worker_id in pool.worker_ids:
            (pool.cut_off if hangs else pool.refuse)(worker_id)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:2]] == [NoWorkerError, NoWorkerError]
        assert asyncio.get_running_loop().time() < 30.0 + 10.0
        with pytest.raises(NoWorkerError):
            await pool.dispatcher.run(job(MILLISECOND))

    run_virtually(main())


def test_what_cannot_be_reached_holds_up_nobody_elses_jobs() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        task = submit(pool, job(0.3, 20))
        await asyncio.sleep(0.2)
        pool.cut_off("w1")
        (result,) = await task
        assert result.timing.total_seconds < 0.3 * 20 / 2 + 5.0
        for _ in range(50):
            (result,) = await pool.dispatcher.run(job(MILLISECOND))
            assert result.timing.total_seconds < 0.02
        assert {call.worker_id for call in pool.calls[-50:]} == {"w0", "w2"}

    run_virtually(main())


def test_workers_that_died_together_use_up_one_attempt() -> None:
    """Those that were idle are still listed, and would fail at once what they are sent."""

    async def main() -> None:
        pool = SimulatedPool(5)
        task = submit(pool, local(0.5))
        await asyncio.sleep(0.1)
        for worker_id in pool.worker_ids:
            pool.kill(worker_id, notice_seconds=3.0)
        asyncio.get_running_loop().call_later(6.0, pool.join, 5)
        (result,) = await task
        assert [record.attempts for record in result.batches] == [2]

    run_virtually(main())


def test_an_idle_pool_finds_out_by_itself_who_lives_after_a_loss() -> None:
    """Or the next job would be told that there has been no worker for long."""

    async def main() -> None:
        pool = SimulatedPool(2, Settings(worker_wait_seconds=3.0))
        task = submit(pool, local(0.5))
        await asyncio.sleep(0.1)
        pool.kill(pool.calls[0].worker_id, notice_seconds=0.0)
        task.cancel()
        await asyncio.sleep(60.0)
        (result,) = await pool.dispatcher.run(job(MILLISECOND))
        assert result.timing.queued_seconds < 0.01

    run_virtually(main())


def test_a_batch_that_never_reached_its_worker_has_used_up_no_attempt() -> None:
    async def main() -> None:
        pool = SimulatedPool(5)

        def before(worker_id: str, batch: Batch) -> None:
            if worker_id != "w4" and batch.segments:
                raise WorkerLostError(worker_id, was_running=False)

        pool.before = before
        (result,) = await pool.dispatcher.run(job(0.001))
        assert [record.attempts for record in result.batches] == [1]

    run_virtually(main())


def test_a_worker_that_joins_is_used_at_once() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(2.05)
        pool.join()
        (result,) = await task
        assert min(call.sent_at for call in pool.calls if call.worker_id == "w1") == 2.05
        assert result.timing.total_seconds == pytest.approx(11.0, rel=0.1)

    run_virtually(main())


def test_the_result_of_a_worker_that_left_still_counts() -> None:
    """One that scales down finishes what it has."""

    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(1.0, 2))
        await asyncio.sleep(0.05)
        pool.dispatcher.set_workers(["w0"])
        (result,) = await task
        assert {call.outcome for call in pool.calls} == {"returned"}
        assert result.timing.num_workers == 2
        await settled(pool)

    run_virtually(main())


# Poison


def test_a_poison_job_fails_after_three_attempts() -> None:
    async def main() -> None:
        pool = SimulatedPool(5)
        pool.is_poison = is_poison
        with pytest.raises(ComputationError, match="3 workers") as caught:
            await pool.dispatcher.run(job_of(POISON_SIZE, 1))
        assert isinstance(caught.value.__cause__, WorkerLostError)
        assert len(pool.calls) == 3
        assert len(pool.worker_ids) == 2
        await settled(pool)

    run_virtually(main())


def test_the_batch_mates_of_a_poison_job_succeed() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, latency_seconds=0.02)
        pool.is_poison = is_poison
        pool.replacement_seconds = 2.0
        mates = [submit(pool, job(MILLISECOND)) for _ in range(5)]
        poison = submit(pool, job_of(POISON_SIZE, 1))
        mates += [submit(pool, job(MILLISECOND)) for _ in range(5)]
        with pytest.raises(ComputationError):
            await poison
        assert all(result.counts == [result.job.task.length] for (result,) in await asyncio.gather(*mates))
        assert len([call for call in pool.calls if any(map(is_poison, call.batch.segments))]) == 3
        await settled(pool)

    run_virtually(main())


def test_the_jobs_of_a_failed_coalesced_batch_are_sent_separately() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, latency_seconds=0.02)
        pool.is_poison = is_poison
        pool.replacement_seconds = 2.0
        jobs = [job(MILLISECOND) for _ in range(10)] + [job_of(POISON_SIZE, 1)]
        await asyncio.gather(*(submit(pool, each) for each in jobs), return_exceptions=True)
        first = next(n for n, call in enumerate(pool.calls) if any(map(is_poison, call.batch.segments)))
        assert len(pool.calls[first].batch.segments) > 1
        assert {len(call.batch.segments) for call in pool.calls[first + 1 :]} == {1}
        await settled(pool)

    run_virtually(main())


def fail_once(is_bad: Callable[[Batch], bool]) -> Callable[[str, Batch], None]:
    """Raises what a worker's code raised, for the first bad batch."""
    failures = iter([MemoryError()])

    def before(_: str, batch: Batch) -> None:
        if is_bad(batch) and (failure := next(failures, None)) is not None:
            raise failure

    return before


def test_a_batch_whose_code_raises_goes_again_and_its_worker_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        pool.before = fail_once(lambda _: True)
        (result,) = await pool.dispatcher.run(job(MILLISECOND))
        assert [call.worker_id for call in pool.calls] == ["w0", "w1"]
        assert result.batches[0].attempts == 2
        await pool.dispatcher.run(job(MILLISECOND))
        assert not pool.probes
        assert_nothing_is_left(pool)

    run_virtually(main())
    assert [record.getMessage() for record in caplog.records] == ["a batch failed on worker w0: MemoryError()"]


def test_what_is_lost_with_its_worker_is_logged_so(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, local(0.5))
        await asyncio.sleep(0.1)
        pool.kill("w0")
        await task

    run_virtually(main())
    (record,) = caplog.records
    assert record.getMessage().startswith("a batch was lost with worker w0: WorkerLostError")


def test_retries_do_not_pile_up_behind_a_long_local_job() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        pool.before = fail_once(lambda batch: len(batch.segments) > 1)
        long = submit(pool, local(60.0))
        await asyncio.sleep(1.0)
        await asyncio.gather(*(submit(pool, job_of(100, 1)) for _ in range(50)))
        long.cancel()
        assert pool.most_in_flight <= 1 + MAX_FULL_AND_EXPRESS

    run_virtually(main())


def test_while_a_retry_waits_for_a_worker_of_its_own_the_others_get_new_work() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        pool.before = fail_once(lambda batch: batch.segments[0].stop == 500)
        tasks = [submit(pool, local(0.5)) for _ in range(2)]
        await asyncio.sleep(0.1)
        tasks.append(submit(pool, job_of(500, 1)))
        await asyncio.sleep(0.1)
        assert pool.dispatcher._scheduler._retries
        (result,) = await pool.dispatcher.run(job(MILLISECOND))
        assert result.timing.queued_seconds == 0.0
        await asyncio.gather(*tasks)

    run_virtually(main())


def test_a_batch_that_the_pool_cancelled_goes_again() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(1.0))
        await asyncio.sleep(0.05)
        pool.calls[0].answer.cancel()
        (result,) = await task
        assert result.counts == [result.job.task.length]

    run_virtually(main())


# No worker at all


def test_jobs_wait_while_no_worker_lives_then_fail() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, ROOMY.model_copy(update={"worker_wait_seconds": 30.0}))
        pool.kill("w0", notice_seconds=0.0)
        await asyncio.sleep(5.0)
        with pytest.raises(NoWorkerError) as caught:
            await pool.dispatcher.run(job(1.0))
        assert caught.value.waited_seconds == 30.0
        assert asyncio.get_running_loop().time() == pytest.approx(30.0)
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_dispatcher_that_never_hears_of_a_worker_waits_from_its_beginning() -> None:
    async def main() -> None:
        await asyncio.sleep(100.0)
        loop = asyncio.get_running_loop()
        dispatcher = Dispatcher(SimulatedPool(0).run_batch, Settings(worker_wait_seconds=30.0), loop.time)
        await asyncio.sleep(5.0)
        with pytest.raises(NoWorkerError):
            await dispatcher.run(job(1.0))
        assert loop.time() == pytest.approx(130.0)

    run_virtually(main())


def test_a_worker_that_joins_in_time_rescues_the_jobs() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(1.05)
        pool.replacement_seconds = 20.0
        pool.kill("w0")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 20
        assert result.timing.total_seconds == pytest.approx(20 + 20, rel=0.1)
        await settled(pool)

    run_virtually(main())


def test_no_job_is_taken_after_no_worker_lived_for_too_long() -> None:
    async def main() -> None:
        pool = SimulatedPool(0, Settings(worker_wait_seconds=3.0))
        await asyncio.sleep(10.0)
        for _ in range(2):
            with pytest.raises(NoWorkerError) as caught:
                await pool.dispatcher.run(job(MILLISECOND))
            assert caught.value.waited_seconds == 3.0
        assert asyncio.get_running_loop().time() == 10.0
        pool.join()
        await pool.dispatcher.run(job(MILLISECOND))
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_both_jobs_under_one_admission_fail_without_a_worker() -> None:
    async def main() -> None:
        pool = SimulatedPool(0, Settings(worker_wait_seconds=3.0))
        with pytest.raises(NoWorkerError):
            await pool.dispatcher.run(job(MILLISECOND), job(MILLISECOND))
        assert_nothing_is_left(pool)

    run_virtually(main())


# Failed checks


def test_a_segment_that_fails_its_check_is_computed_again_on_another_worker() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        pool.is_wrong = lambda worker_id, segment: worker_id == "w0" and segment.start == 0
        (result,) = await pool.dispatcher.run(job(1.0))
        wrong, right = (call for call in pool.calls if call.batch.segments[0].start == 0)
        assert wrong.worker_id == "w0" != right.worker_id
        assert result.num_recomputed == 1
        assert result.counts == [result.job.task.length]
        await settled(pool)

    run_virtually(main())


def test_only_the_wrong_segment_of_a_batch_is_computed_again() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, latency_seconds=0.02)
        verdicts = iter([True])
        pool.is_wrong = lambda _, segment: segment.stop == 500 and next(verdicts, False)
        jobs = [job_of(size, 1) for size in (100, 101, 102, 103, 104, 105, 106, 500, 107)]
        results = await asyncio.gather(*(submit(pool, each) for each in jobs))
        assert [result.num_recomputed for (result,) in results] == [0] * 7 + [1, 0]
        sent = Counter(segment.stop for call in pool.calls for segment in call.batch.segments)
        assert sent == {each.task.length: 1 for each in jobs} | {500: 2}
        await settled(pool)

    run_virtually(main())


def test_a_segment_that_fails_its_check_twice_fails_the_job() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        pool.is_wrong = lambda _, segment: segment.start == 0
        with pytest.raises(ComputationError, match="failed its check twice"):
            await pool.dispatcher.run(job(1.0))
        assert sum(segment.start == 0 for call in pool.calls for segment in call.batch.segments) == 2
        await settled(pool)

    run_virtually(main())


def test_nobody_computes_for_a_job_that_has_failed() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        pool.is_wrong = lambda _, segment: segment.start == 0
        with pytest.raises(ComputationError):
            await pool.dispatcher.run(job(60.0))
        await asyncio.sleep(0)
        assert {call.outcome for call in pool.calls} == {"returned", "cancelled"}

    run_virtually(main())


def test_every_wrong_line_is_counted() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        pool.is_wrong = lambda worker_id, segment: worker_id == "w0" and segment.count == 50
        (result,) = await pool.dispatcher.run(job_of(100, 50))
        assert result.num_recomputed == 50
        assert result.counts == [100] * 50
        assert result.num_segments == 50

    run_virtually(main())

"""The dispatcher's rules: what is sent, where, when, and what becomes of a job. All in virtual time."""

import asyncio
import contextvars
import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from app.dispatch.dispatcher import Dispatcher
from app.errors import ComputationError, DeadlineError, DrainingError, QueueFullError, RefusedError, TooCostlyError
from app.job import Batch, BatchResult, Execution, Job
from app.kernel import Part
from app.kernels.fibonacci.task import FibonacciTask
from app.queue.cost import IDLE_SECONDS
from app.queue.lanes import GATHERED_SECONDS
from app.queue.live_job import LiveJob
from app.queue.remainder import Remainder
from app.queue.waiting import WaitingJobs
from app.settings import Settings
from harness.simulated_worker import COST
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, Call, SimulatedPool, assert_nothing_is_left, job, submit
from tests.tasks import OtherTask, job_of, segment

MINUTES = 600.0
MILLISECOND = 0.001


async def cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def seconds_of(batch: Batch) -> float:
    return COST.batch_seconds(batch.segments)


# One job


def test_every_line_comes_back_whole() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        (result,) = await pool.dispatcher.run(job(0.7, num_lines=5))
        assert result.counts == [result.job.task.length] * 5
        assert result.num_segments == sum(s.count for call in pool.calls for s in call.batch.segments)
        assert result.num_recomputed == 0
        assert_nothing_is_left(pool)

    run_virtually(main())


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("num_lines", [1, 1_000])
def test_empty_lines_come_back(execution: Execution, num_lines: int) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        (result,) = await pool.dispatcher.run(job_of(0, num_lines, execution))
        assert result.counts == [0] * num_lines
        assert result.part == Part()
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_what_is_found_is_of_the_end_of_the_line() -> None:
    async def main() -> None:
        (result,) = await SimulatedPool(3).dispatcher.run(job(0.7, num_lines=5))
        assert result.part == Part({"index": result.job.task.length - 1})

    run_virtually(main())


@dataclass(frozen=True, slots=True)
class CannotJoin(FibonacciTask):
    """Of a kernel that has a fault."""

    def join(self, left: Part, right: Part) -> Part:
        raise ZeroDivisionError(left, right)


def test_a_kernel_that_cannot_join_what_it_found_fails_its_own_job_alone() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        faulty = replace(job(1.0), task=CannotJoin(job(1.0).task.length))
        other = submit(pool, job(0.5))
        with pytest.raises(ComputationError, match="could not be joined"):
            await pool.dispatcher.run(faulty)
        await other
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_local_job_goes_in_one_call_to_one_worker() -> None:
    async def main() -> None:
        pool = SimulatedPool(4)
        (result,) = await pool.dispatcher.run(job(2.0, 10, Execution.LOCAL))
        assert len(pool.calls) == 1
        assert result.counts == [result.job.task.length] * 10
        assert (result.timing.num_batches, result.timing.num_workers) == (1, 1)
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_the_timing_of_a_job_adds_up() -> None:
    async def main() -> None:
        pool = SimulatedPool(4)
        await asyncio.sleep(10.0)
        (result,) = await pool.dispatcher.run(job(1.0, 20))
        timing = result.timing
        assert timing.queued_seconds == 0.0
        assert timing.compute_seconds == pytest.approx(sum(seconds_of(call.batch) for call in pool.calls))
        assert timing.compute_seconds == pytest.approx(timing.predicted_compute_seconds, rel=0.05)
        assert 3.5 < timing.parallelism <= 4.0
        assert (timing.num_workers, timing.num_batches) == (4, len(pool.calls))

    run_virtually(main())


def test_the_records_of_a_job_add_up() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        (result,) = await pool.dispatcher.run(job(1.0, 3))
        records = result.batches
        assert sum(record.num_units for record in records) == 3 * result.job.task.length
        assert sum(record.compute_seconds for record in records) == pytest.approx(result.timing.compute_seconds)
        assert all(0 <= record.dispatched_at_seconds < record.returned_at_seconds for record in records)
        assert max(record.returned_at_seconds for record in records) == result.timing.total_seconds
        assert {record.attempts for record in records} == {1}

    run_virtually(main())


def test_a_job_dispatched_when_the_clock_reads_zero_was_not_queued() -> None:
    async def main() -> None:
        (result,) = await SimulatedPool(1).dispatcher.run(job(1.0))
        assert result.timing.queued_seconds == 0.0

    run_virtually(main())


def test_a_job_that_had_to_wait_tells_how_long() -> None:
    async def main() -> None:
        pool = SimulatedPool(0)
        task = submit(pool, job(1.0))
        await asyncio.sleep(3.0)
        pool.join()
        (result,) = await task
        assert result.timing.queued_seconds == 3.0
        assert result.batches[0].dispatched_at_seconds == 3.0

    run_virtually(main())


def test_only_the_first_thousand_batches_are_recorded() -> None:
    async def main() -> None:
        (result,) = await SimulatedPool(4).dispatcher.run(job(1.0, 300))
        assert result.timing.num_batches > 1_000
        assert len(result.batches) == 1_000

    run_virtually(main())


def test_two_runs_under_one_admission_come_one_after_the_other() -> None:
    async def main() -> None:
        pool = SimulatedPool(4)
        local_job, distributed_job = job(1.0, 4, Execution.LOCAL), job(1.0, 4)
        local, distributed = await pool.dispatcher.run(local_job, distributed_job)
        assert (local.job, distributed.job) == (local_job, distributed_job)
        assert pool.calls[1].sent_at >= local.timing.total_seconds
        assert local.timing.total_seconds / distributed.timing.total_seconds > 3.0
        assert_nothing_is_left(pool)

    run_virtually(main())


# Batch sizes


def test_batches_shrink_from_the_ceiling_to_the_floor() -> None:
    async def main() -> None:
        pool = SimulatedPool(4)
        await pool.dispatcher.run(job(0.001, 4_000))
        sizes = [seconds_of(call.batch) for call in pool.calls]
        assert max(sizes) == pytest.approx(0.2, rel=0.25)
        assert min(sizes[:-1]) >= 0.02
        assert sizes[0] > 5 * sizes[-2]

    run_virtually(main())


@pytest.mark.parametrize("num_workers", [1, 5])
def test_a_batch_is_half_a_workers_share_of_what_is_left(num_workers: int) -> None:
    async def main() -> None:
        pool = SimulatedPool(num_workers)
        await pool.dispatcher.run(job(0.001, 200 * num_workers))
        assert seconds_of(pool.calls[0].batch) == pytest.approx(0.2 / 2, rel=0.25)

    run_virtually(main())


def test_a_job_that_others_wait_beside_is_cut_for_its_share_of_the_workers() -> None:
    """The workers have enough to do: another cut would only make what is left of it wait again."""

    async def main() -> None:
        pool = SimulatedPool(2)
        ahead = [submit(pool, job(0.5, execution=Execution.LOCAL)) for _ in range(4)]
        await asyncio.gather(*ahead, *(submit(pool, job(0.04)) for _ in range(10)))
        assert [seconds_of(call.batch) for call in pool.calls[4:10]] == pytest.approx([0.04] * 6, rel=0.05)

    run_virtually(main())


def test_on_a_large_pool_a_batch_is_at_most_twice_what_it_takes_to_send_every_worker_one() -> None:
    async def main() -> None:
        pool = SimulatedPool(100, ROOMY.model_copy(update={"dispatch_cpu_seconds": 0.005}))
        task = submit(pool, job(0.01, 100_000))
        await asyncio.sleep(0.001)
        assert seconds_of(pool.calls[0].batch) == pytest.approx(2 * 100 * 0.005, rel=0.25)
        await cancel(task)

    run_virtually(main())


def test_batches_grow_with_the_pool_so_that_the_ingress_keeps_up() -> None:
    async def main() -> None:
        pool = SimulatedPool(500, ROOMY.model_copy(update={"dispatch_cpu_seconds": 0.001}))
        await pool.dispatcher.run(job(1.0, 3_000))
        assert min(seconds_of(call.batch) for call in pool.calls[:1_000]) >= 0.5
        assert len(pool.calls) * 0.001 < 3_000 / 500

    run_virtually(main())


def test_five_hundred_workers_reach_95_percent_of_the_ideal() -> None:
    """10 s of work for each, 5 ms for a round trip, and an ingress that takes 0.3 ms to send a batch."""
    settings = ROOMY.model_copy(update={"dispatch_cpu_seconds": 0.0003})

    async def main() -> None:
        pool = SimulatedPool(500, settings, latency_seconds=0.005, dispatch_seconds=0.0003)
        (result,) = await pool.dispatcher.run(job(0.59, 8_500))
        ideal_seconds = COST.seconds(result.job.task, 0, result.job.task.length, 8_500) / 500
        assert ideal_seconds == pytest.approx(10.0, rel=0.02)
        assert result.timing.total_seconds <= ideal_seconds / 0.95
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_at_most_two_batches_are_in_flight_a_worker() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        await pool.dispatcher.run(job(1.0, 30))
        assert pool.most_in_flight == 2

    run_virtually(main())


def test_a_third_batch_is_in_flight_only_if_it_is_short() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        long = submit(pool, job(MINUTES))
        await asyncio.sleep(0.01)
        await asyncio.wait([submit(pool, job(MILLISECOND)) for _ in range(5)])
        assert pool.most_in_flight == 3
        await cancel(long)

    run_virtually(main())


# The short lane


def short_calls(pool: SimulatedPool) -> list[Call]:
    return [call for call in pool.calls if call.batch.short]


def test_a_short_job_goes_at_once_beside_two_long_batches() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        long = submit(pool, job(MINUTES))
        await asyncio.sleep(1.0)
        short = submit(pool, job(MILLISECOND))
        await asyncio.sleep(0.0001)
        running = [seconds_of(call.batch) > 0.1 for call in pool.calls if call.outcome == "running"]
        assert running == [True, True, False]
        assert pool.calls[-1].sent_at == 1.0
        await short
        await cancel(long)

    run_virtually(main())


def test_a_long_batch_goes_at_once_beside_a_short_one() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, latency_seconds=0.1)
        short = submit(pool, job(MILLISECOND))
        long = submit(pool, job(1.0))
        await asyncio.sleep(0.0001)
        assert [call.sent_at for call in pool.calls] == [0.0, 0.0, 0.0]
        await asyncio.gather(short, long)

    run_virtually(main())


@pytest.mark.parametrize(("long_seconds", "limit"), [(MILLISECOND, 3), (MINUTES, 1)], ids=["alone", "beside long ones"])
def test_so_many_short_batches_a_worker_are_in_flight_and_no_more(long_seconds: float, limit: int) -> None:
    async def main() -> None:
        pool = SimulatedPool(3, latency_seconds=0.02)
        long = submit(pool, job(long_seconds))
        pending = {submit(pool, job(0.004)) for _ in range(60)}
        most = 0
        while pending:
            running = Counter(call.worker_id for call in short_calls(pool) if call.outcome == "running")
            most = max(most, running.total())
            assert max(running.values(), default=0) <= limit
            _, pending = await asyncio.wait(pending, timeout=0.001)
        assert most == 3 * limit
        await (cancel(long) if long_seconds == MINUTES else long)

    run_virtually(main())


def test_short_jobs_that_come_while_the_lane_is_full_ride_together_as_soon_as_it_is_free() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, latency_seconds=0.1)
        await asyncio.sleep(1.0)
        first = submit(pool, job(MILLISECOND))
        later = []
        for _ in range(5):
            await asyncio.sleep(0.01)
            later.append(submit(pool, job(MILLISECOND)))
        await first
        free_at = asyncio.get_running_loop().time()
        await asyncio.gather(*later)
        assert [(call.sent_at, len(call.batch.segments)) for call in short_calls(pool)] == [(1.0, 1), (free_at, 5)]

    run_virtually(main())


# Fairness


def test_a_millisecond_behind_ten_minutes_is_sent_at_once_and_answered_within_a_batch() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        long = submit(pool, job(MINUTES))
        await asyncio.sleep(5.0)
        (result,) = await pool.dispatcher.run(job(MILLISECOND))
        assert result.timing.queued_seconds == 0.0
        assert result.timing.total_seconds < 3 * ROOMY.batch_ceiling_seconds
        await cancel(long)

    run_virtually(main())


def test_a_millisecond_behind_a_local_job_is_answered_within_slices() -> None:
    """A local job is one call of minutes: the worker's turns let the short one in."""

    async def main() -> None:
        pool = SimulatedPool(1)
        long = submit(pool, job(MINUTES, execution=Execution.LOCAL))
        await asyncio.sleep(1.0)
        (result,) = await pool.dispatcher.run(job(MILLISECOND))
        assert result.timing.total_seconds < 0.030
        await cancel(long)

    run_virtually(main())


def test_two_equal_jobs_share_the_pool() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        ends = await asyncio.gather(*(submit(pool, job(0.5, 40)) for _ in range(2)))
        first, second = (result.timing.total_seconds for (result,) in ends)
        assert first == pytest.approx(second, rel=0.05)

    run_virtually(main())


def test_two_callers_share_the_pool_however_many_jobs_each_has() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        many = [submit(pool, job(0.5, 40, caller="many")) for _ in range(9)]
        (alone,) = await pool.dispatcher.run(job(0.5, 40, caller="one"))
        assert alone.timing.total_seconds == pytest.approx(2 * 20 / 2, rel=0.1)
        for task in many:
            await cancel(task)

    run_virtually(main())


# Coalescing


def test_a_lone_small_job_leaves_at_once() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        await pool.dispatcher.run(job(MILLISECOND))
        assert [call.sent_at for call in pool.calls] == [0.0]

    run_virtually(main())


def test_small_jobs_that_wait_together_ride_in_one_batch() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        results = await asyncio.gather(*(submit(pool, job(MILLISECOND)) for _ in range(50)))
        assert len(results) == 50
        assert [len(call.batch.segments) for call in pool.calls] == [1, 39, 10]

    run_virtually(main())


def test_only_jobs_of_one_kernel_ride_together() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        ours = job(MILLISECOND)
        others = replace(ours, task=OtherTask(ours.task.length))
        await asyncio.gather(*(submit(pool, each) for _ in range(10) for each in (ours, others)))
        kernels = [{segment.task.kernel for segment in call.batch.segments} for call in pool.calls]
        assert [len(each) for each in kernels] == [1] * len(pool.calls)
        assert set.union(*kernels) == {"fibonacci", "other"}

    run_virtually(main())


def test_a_coalesced_batch_is_full_and_still_short() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        await asyncio.gather(*(submit(pool, job(0.003)) for _ in range(50)))
        assert max(seconds_of(call.batch) for call in pool.calls) <= GATHERED_SECONDS
        assert [len(call.batch.segments) for call in pool.calls] == [1] + [13] * 3 + [10]

    run_virtually(main())


def test_a_job_rides_along_only_if_the_batch_stays_short() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        await asyncio.gather(*(submit(pool, job(n * MILLISECOND)) for n in (1, 9, 9, 9, 9, 9)))
        assert [len(call.batch.segments) for call in pool.calls] == [1, 4, 1]

    run_virtually(main())


def test_who_is_short_is_not_longer_where_other_work_uses_the_cores() -> None:
    """Each of 8 ms takes 32 ms, and so much CPU time goes into a batch as elsewhere."""

    async def main() -> None:
        pool = SimulatedPool(1, speed=0.25)
        pool.dispatcher.cost.speed = 0.25
        await asyncio.gather(*(submit(pool, job(8 * MILLISECOND)) for _ in range(11)))
        assert all(call.batch.short for call in pool.calls)
        assert [len(call.batch.segments) for call in pool.calls[:2]] == [1, 5]

    run_virtually(main())


def test_nobody_rides_with_a_piece_of_a_long_job() -> None:
    async def main() -> None:
        waiting = WaitingJobs(ROOMY, COST)
        jobs = (job(0.025, 50), job(MILLISECOND))
        long, small = (LiveJob(number, each, Remainder(each, COST), 0.0) for number, each in enumerate(jobs))
        waiting.add(long)
        waiting.add(small)
        pieces = waiting.cut_batch(long, num_workers=40, num_idle=0)
        assert pieces[0].seconds < GATHERED_SECONDS - MILLISECOND
        assert [piece.live_job for piece in pieces] == [long]

    run_virtually(main())


def first_piece(num_workers: int, num_idle: int, others: int = 0, terms: int = 10_000_000) -> tuple[float, float]:
    """The seconds of the first piece of one long line, and those of the cut behind it."""

    async def main() -> tuple[float, float]:
        waiting, jobs = WaitingJobs(ROOMY, COST), [job_of(terms), *[job_of(terms)] * others]
        live_jobs = [LiveJob(number, each, Remainder(each, COST), 0.0) for number, each in enumerate(jobs)]
        for live_job in live_jobs:
            waiting.add(live_job)
        waiting.cut_batch(live_jobs[0], num_workers, num_idle)
        (piece,) = waiting.cut_batch(live_jobs[0], num_workers, num_idle)
        return piece.seconds, live_jobs[0].remainder.cut_seconds

    return run_virtually(main())


def test_idle_workers_get_a_piece_each_although_that_costs_more() -> None:
    idle, cut = first_piece(1_000, 1_000, terms=3_000_000)
    busy, _ = first_piece(1_000, 0, terms=3_000_000)
    assert cut < idle < 0.2
    assert busy > 0.4


def test_while_others_wait_a_piece_costs_many_times_its_cut() -> None:
    busy, cut = first_piece(1_000, 1_000, others=1)
    assert busy > 20 * 0.9 * cut


def test_no_more_pieces_are_made_than_can_be_sent_before_they_end() -> None:
    """Sending takes half a millisecond of the ingress for each: a job of two seconds is over before 1,000 are sent."""
    seconds, _ = first_piece(1_000, 1_000, terms=1_000_000)
    assert 0.02 < seconds < 0.06


def test_each_job_of_a_coalesced_batch_gets_only_its_own() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        jobs = [job_of(100 + n, 1 + n % 3, job_id=str(n)) for n in range(20)]
        results = await asyncio.gather(*(submit(pool, each) for each in jobs))
        assert max(len(call.batch.segments) for call in pool.calls) > 10
        for expected, (result,) in zip(jobs, results, strict=True):
            size, count = expected.task.length, expected.task.num_lines
            assert (result.job, result.counts) == (expected, [size] * count)
            assert result.part == Part({"index": size - 1})
            assert sum(record.num_units for record in result.batches) == size * count
            assert result.timing.compute_seconds == pytest.approx(COST.seconds(expected.task, 0, size, count))

    run_virtually(main())


# Refusals


Refusal = TypeVar("Refusal", bound=RefusedError)


async def refusal_of(pool: SimulatedPool, kind: type[Refusal], *jobs: Job) -> Refusal:
    """The refusal of these jobs; nothing was sent for them."""
    num_calls = len(pool.calls)
    with pytest.raises(kind) as caught:
        await pool.dispatcher.run(*jobs)
    assert len(pool.calls) == num_calls
    return caught.value


def test_a_job_that_costs_too_much_alone_is_refused() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_compute_seconds=10.0))
        refusal = await refusal_of(pool, TooCostlyError, job(11.0))
        assert refusal.predicted_compute_seconds == pytest.approx(11.0, rel=0.05)
        assert refusal.max_compute_seconds == 10.0
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_nothing_as_large_as_the_job_is_made_for_one_that_is_refused() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_compute_seconds=10.0))
        await refusal_of(pool, TooCostlyError, job_of(1, 10**12))

    run_virtually(main())


def test_jobs_under_one_admission_are_refused_together() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_compute_seconds=10.0))
        await refusal_of(pool, TooCostlyError, job(6.0), job(6.0))
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_job_with_too_much_ahead_of_it_is_refused_with_the_time_to_come_back() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_queued_seconds=30.0, max_timeout_seconds=86_400))
        tasks = [submit(pool, job(40.0)) for _ in range(2)]
        await asyncio.sleep(0.001)
        refusal = await refusal_of(pool, QueueFullError, job(40.0))
        assert 8 <= refusal.retry_after_seconds <= 13
        await asyncio.sleep(refusal.retry_after_seconds)
        results = await asyncio.gather(pool.dispatcher.run(job(40.0)), *tasks)
        assert len(results) == 3
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_short_job_is_admitted_where_a_long_one_is_refused() -> None:
    """The fair queue serves it first, so it does not wait for all that stands there."""

    async def main() -> None:
        pool = SimulatedPool(1, Settings(max_queued_seconds=30.0))
        long = submit(pool, job(100.0))
        await asyncio.sleep(0.001)
        await refusal_of(pool, QueueFullError, job(50.0))
        await pool.dispatcher.run(job(MILLISECOND))
        await cancel(long)

    run_virtually(main())


def test_many_small_jobs_stand_ahead_of_a_smaller_one_as_a_whole() -> None:
    """It would pass them, but so would all who come after it, and they would wait for ever."""

    async def main() -> None:
        pool = SimulatedPool(1, Settings(max_queued_seconds=30.0))
        tasks = [submit(pool, job(0.5)) for _ in range(61)]
        await asyncio.sleep(0)
        refusal = await refusal_of(pool, QueueFullError, job(MILLISECOND))
        await asyncio.sleep(refusal.retry_after_seconds)
        await pool.dispatcher.run(job(MILLISECOND))
        for task in tasks:
            task.cancel()

    run_virtually(main())


def test_a_small_job_is_taken_behind_one_longer_than_anybody_may_wait() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, Settings(max_queued_seconds=60.0))
        long = submit(pool, job(100.0))
        await asyncio.sleep(0.001)
        await pool.dispatcher.run(job(MILLISECOND))
        await cancel(long)

    run_virtually(main())


def test_no_more_jobs_are_held_than_the_limit() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, Settings(max_queued_jobs=3))
        tasks = [submit(pool, job(MILLISECOND)) for _ in range(3)]
        await asyncio.sleep(0)
        refusal = await refusal_of(pool, QueueFullError, job(MILLISECOND))
        reason = "The service already holds 3 unfinished jobs; the limit is 3."
        assert (refusal.reason, refusal.retry_after_seconds) == (reason, 1)
        await asyncio.gather(*tasks)
        await pool.dispatcher.run(job(MILLISECOND))
        assert_nothing_is_left(pool)

    run_virtually(main())


@pytest.mark.parametrize("callers", [("",), ("alice", "bob"), ("alice", "alice", "alice", "bob")])
def test_who_comes_when_no_more_jobs_are_held_is_told_when_the_first_is_finished(callers: tuple[str, ...]) -> None:
    """Not when all are: 40 jobs that take half a minute leave room after a few seconds."""

    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_queued_jobs=40, max_caller_queued_seconds=60))
        seconds_and_callers = zip(itertools.cycle((2.0, 0.5, 1.0)), itertools.cycle(callers), range(40), strict=False)
        tasks = [submit(pool, job(seconds, caller=caller)) for seconds, caller, _ in seconds_and_callers]
        await asyncio.sleep(0.001)
        refusal = await refusal_of(pool, QueueFullError, job(MILLISECOND))
        loop = asyncio.get_running_loop()
        refused_at = loop.time()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        real_seconds = loop.time() - refused_at
        assert real_seconds < pool.dispatcher.drain_seconds
        assert refusal.retry_after_seconds == pytest.approx(real_seconds, rel=0.5, abs=1.0)
        await asyncio.gather(*tasks)

    run_virtually(main())


def test_draining_refuses_new_jobs_and_finishes_the_old() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        old = submit(pool, job(1.0))
        await asyncio.sleep(0.1)
        pool.dispatcher.draining = True
        await refusal_of(pool, DrainingError, job(MILLISECOND))
        (result,) = await old
        assert result.counts == [result.job.task.length]
        assert_nothing_is_left(pool)

    run_virtually(main())


# Cancellation and deadlines


def test_a_cancelled_job_leaves_the_queue_and_the_workers() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        task = submit(pool, job(MINUTES))
        await asyncio.sleep(10.05)
        await cancel(task)
        await asyncio.sleep(0.001)
        assert Counter(call.outcome for call in pool.calls)["cancelled"] == 4
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_the_work_of_a_cancelled_job_is_no_longer_ahead_of_others() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        cancelled, stays = submit(pool, job(100.0)), submit(pool, job(50.0))
        await asyncio.sleep(0.001)
        assert pool.dispatcher.drain_seconds == pytest.approx(150.0, rel=0.05)
        await cancel(cancelled)
        assert pool.dispatcher.drain_seconds == pytest.approx(50.0, rel=0.05)
        await stays
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_work_that_came_back_is_no_longer_ahead_of_others() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        task = submit(pool, job(1.0, 100))
        await asyncio.sleep(60.0)
        assert pool.dispatcher.drain_seconds == pytest.approx(40.0, rel=0.05)
        await task

    run_virtually(main())


def test_more_workers_drain_the_same_sooner() -> None:
    async def main() -> None:
        pool = SimulatedPool(4)
        task = submit(pool, job(1.0, 100))
        await asyncio.sleep(0)
        assert pool.dispatcher.drain_seconds == pytest.approx(100 / 4, rel=0.05)
        await cancel(task)

    run_virtually(main())


def test_where_others_have_the_cores_too_waiting_takes_longer_and_nothing_costs_more() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, Settings(max_queued_seconds=30.0, max_compute_seconds=45.0), speed=0.25)
        await pool.dispatcher.run(job(0.1, 100))
        task = submit(pool, job(40.0))
        await asyncio.sleep(0)
        assert pool.dispatcher.drain_seconds == pytest.approx(4 * 40 / 2, rel=0.05)
        refusal = await refusal_of(pool, QueueFullError, job(40.0))
        assert refusal.retry_after_seconds == pytest.approx(4 * 40 / 2 - 30, rel=0.1)
        await cancel(task)
        await asyncio.sleep(3600)  # who knows how much of the cores the others still use
        tasks = [submit(pool, job(20.0)) for _ in range(3)]
        await asyncio.gather(*tasks)

    run_virtually(main())


def test_what_is_ahead_is_what_waits_and_what_is_on_the_workers() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        pool.is_wrong = lambda worker_id, segment: worker_id == "w0" and segment.start == 0
        task = submit(pool, job(1.0, 10))
        while not task.done():
            await asyncio.sleep(0.1)
            for live_job in pool.dispatcher._admission:
                out = sum(seconds_of(call.batch) for call in pool.calls if call.outcome == "running")
                out += sum(piece.seconds for piece in pool.dispatcher._scheduler._retries)
                assert live_job.out_seconds == pytest.approx(out)
                assert live_job.unfinished_seconds == pytest.approx(live_job.remainder.seconds + out, abs=0.1)
        assert (await task)[0].num_recomputed > 1

    run_virtually(main())


def test_a_job_cancelled_before_it_was_sent_is_never_sent() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        long = submit(pool, job(MINUTES, execution=Execution.LOCAL), job(MINUTES, execution=Execution.LOCAL))
        await asyncio.sleep(1.0)
        assert len(pool.calls) == 1
        await cancel(long)
        await asyncio.sleep(1.0)
        assert len(pool.calls) == 1
        assert_nothing_is_left(pool)

    run_virtually(main())


@pytest.mark.parametrize("which", [1, 9], ids=["the first of them", "the last of them"])
def test_the_batch_mates_of_a_cancelled_job_are_untouched(which: int) -> None:
    async def main() -> None:
        pool = SimulatedPool(1, latency_seconds=0.1)
        tasks = [submit(pool, job(MILLISECOND)) for _ in range(10)]
        await asyncio.sleep(0.15)
        assert len(pool.calls[-1].batch.segments) == 9
        await cancel(tasks.pop(which))
        results = await asyncio.gather(*tasks)
        assert all(result.counts == [result.job.task.length] for (result,) in results)
        assert {call.outcome for call in pool.calls} == {"returned"}
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_batch_is_cancelled_when_its_last_job_is() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, latency_seconds=0.1)
        tasks = [submit(pool, job(MILLISECOND)) for _ in range(10)]
        await asyncio.sleep(0.15)
        assert [len(call.batch.segments) for call in pool.calls] == [1, 9]
        for task in tasks[1:]:
            assert [call.outcome for call in pool.calls] == ["returned", "running"]
            await cancel(task)
            await asyncio.sleep(0)
        assert [call.outcome for call in pool.calls] == ["returned", "cancelled"]
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_a_job_ends_at_its_deadline() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        with pytest.raises(DeadlineError) as caught:
            await pool.dispatcher.run(job(MINUTES), timeout_seconds=7.0)
        assert caught.value.timeout_seconds == 7.0
        assert asyncio.get_running_loop().time() == pytest.approx(7.0)
        await asyncio.sleep(0.001)
        assert Counter(call.outcome for call in pool.calls)["cancelled"] > 0
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_jobs_under_one_admission_share_their_deadline() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        with pytest.raises(DeadlineError):
            await pool.dispatcher.run(job(6.0), job(6.0), timeout_seconds=7.0)
        await asyncio.sleep(0.001)
        assert_nothing_is_left(pool)

    run_virtually(main())


def test_the_longest_deadline_is_the_default() -> None:
    async def main() -> None:
        pool = SimulatedPool(1, Settings(max_timeout_seconds=5.0))
        with pytest.raises(DeadlineError) as caught:
            await pool.dispatcher.run(job(50.0))
        assert caught.value.timeout_seconds == 5.0

    run_virtually(main())


# The seam


def test_a_batch_is_sent_from_an_empty_context() -> None:
    """Or Serve would cancel it together with the request that happened to send it."""
    contexts: list[int] = []

    async def main() -> None:
        pool = SimulatedPool(1)

        async def run_batch(worker_id: str, batch: Batch) -> BatchResult:
            contexts.append(len(contextvars.copy_context()))
            return await pool.run_batch(worker_id, batch)

        dispatcher = Dispatcher(run_batch, ROOMY, asyncio.get_running_loop().time)
        dispatcher.set_workers(pool.worker_ids)
        await dispatcher.run(job(MILLISECOND))

    run_virtually(main())
    assert contexts == [0]


def test_the_cost_model_learns_from_what_comes_back() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        batch = [segment(0, 100_000)]
        seconds = COST.batch_seconds(batch)
        pool.dispatcher.cost.observe(batch, 10 * seconds, 10 * seconds)
        await pool.dispatcher.run(job(1.0, 10))
        assert pool.dispatcher.cost.batch_seconds(batch) == pytest.approx(seconds, rel=0.3)

    run_virtually(main())


def test_however_often_it_is_asked_an_idle_time_is_over_once() -> None:
    async def main() -> float:
        pool = SimulatedPool(1, Settings())
        pool.dispatcher.cost.speed = 0.2
        for _ in range(20):
            await asyncio.sleep(0.15)
            with pytest.raises(TooCostlyError):
                await pool.dispatcher.run(job_of(10_000_000, 10_000))
        return pool.dispatcher.cost.speed

    assert run_virtually(main()) == pytest.approx(1 - 0.8 * math.exp(-3.0 / IDLE_SECONDS))


def test_while_all_workers_are_being_replaced_admission_counts_on_the_new_ones() -> None:
    async def main() -> None:
        pool = SimulatedPool(12, Settings())
        others = [asyncio.create_task(pool.dispatcher.run(job(4.0, 12))) for _ in range(8)]  # 32 s of drain
        await asyncio.sleep(0.5)
        for worker_id in pool.worker_ids:
            pool.kill(worker_id)
        await asyncio.sleep(0.5)
        assert pool.dispatcher.num_workers == 0
        asyncio.get_running_loop().call_later(6.0, pool.join, 12)
        await pool.dispatcher.run(job(10.0))
        await asyncio.gather(*others)

    run_virtually(main())

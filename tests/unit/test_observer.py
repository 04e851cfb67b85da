"""What the dispatcher tells those who look on. In virtual time."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from app.errors import DeadlineError, DrainingError, QueueFullError, TooCostlyError
from app.observe.observers import Observers
from app.observer import BatchOutcome, EndedBatch, EndedJob, JobOutcome, RetryCause, name_of, outcome_of
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, SimulatedPool, job, submit
from tests.tasks import job_of


@dataclass
class Notes:
    """An observer that writes everything down."""

    batches: list[EndedBatch] = field(default_factory=list)
    causes: list[RetryCause] = field(default_factory=list)
    jobs: list[EndedJob] = field(default_factory=list)

    def batch_ended(self, batch: EndedBatch) -> None:
        self.batches.append(batch)

    def retried(self, cause: RetryCause) -> None:
        self.causes.append(cause)

    def job_ended(self, job: EndedJob) -> None:
        self.jobs.append(job)

    def outcomes(self) -> Counter[BatchOutcome]:
        return Counter(batch.outcome for batch in self.batches)


def test_each_batch_is_told_with_who_computed_it_and_when() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(2, observer=notes)
        (result,) = await pool.dispatcher.run(job(0.1, 20))
        assert len(notes.batches) == result.timing.num_batches
        assert sum(batch.num_units for batch in notes.batches) == sum(result.counts)
        assert {batch.worker_id for batch in notes.batches} == {"w0", "w1"}
        assert all(batch.job is result.job and batch.num_jobs == 1 for batch in notes.batches)
        assert notes.outcomes() == {BatchOutcome.OK: len(notes.batches)}
        assert sum(batch.compute_seconds for batch in notes.batches) == pytest.approx(result.timing.compute_seconds)
        (ended,) = notes.jobs
        assert (ended.outcome, ended.result, ended.error) == (JobOutcome.SUCCEEDED, result, None)
        assert ended.ended_at - ended.accepted_at == pytest.approx(result.timing.total_seconds)
        assert not notes.causes

    run_virtually(main())


def test_small_jobs_that_ride_together_are_counted() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(1, observer=notes)
        await asyncio.gather(*(pool.dispatcher.run(job_of(10)) for _ in range(50)))
        assert sum(batch.num_jobs for batch in notes.batches) == 50
        assert max(batch.num_jobs for batch in notes.batches) > 1
        assert len(notes.jobs) == 50

    run_virtually(main())


def test_lost_batches_are_told_and_why_they_go_again() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(3, observer=notes)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(1.05)
        pool.kill("w1")
        await task
        lost = notes.outcomes()[BatchOutcome.LOST]
        assert lost >= 2
        assert Counter(notes.causes) == {RetryCause.LOST: lost}
        assert {batch.worker_id for batch in notes.batches if batch.outcome is BatchOutcome.LOST} == {"w1"}
        assert all(not batch.node_id for batch in notes.batches if batch.outcome is BatchOutcome.LOST)
        assert {batch.attempts for batch in notes.batches if batch.outcome is BatchOutcome.LOST} == {1}
        assert {batch.attempts for batch in notes.batches} == {1, 2}

    run_virtually(main())


def test_late_batches_are_told_when_they_are_given_up() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(3, observer=notes)
        task = submit(pool, job(0.1, 60))
        await asyncio.sleep(0.5)
        pool.freeze("w1")
        late: set[str] = set()
        while not task.done():
            await asyncio.sleep(0.05)
            late |= {batch.worker_id for batch in pool.dispatcher.running_batches if batch.late}
        assert late == {"w1"}
        assert Counter(notes.causes) == {RetryCause.LATE: 2}
        assert notes.outcomes()[BatchOutcome.LATE] == 2

    run_virtually(main())


def test_wrong_results_are_told() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(3, observer=notes)
        pool.is_wrong = lambda worker_id, _: worker_id == "w1"
        (result,) = await pool.dispatcher.run(job(0.1, 20))
        assert set(notes.causes) == {RetryCause.WRONG}
        assert 0 < len(notes.causes) <= result.num_recomputed  # several equal lines go again as one
        assert {batch.worker_id for batch in notes.batches if batch.outcome is BatchOutcome.WRONG} == {"w1"}

    run_virtually(main())


def test_code_that_raises_is_told_as_failed() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(1, observer=notes, by_hand=True)
        task = submit(pool, job(0.001))
        for _ in range(3):
            await asyncio.sleep(1.0)
            pool.out[0].fail()
        await asyncio.wait([task])
        assert notes.outcomes() == {BatchOutcome.FAILED: 3}
        assert Counter(notes.causes) == {RetryCause.FAILED: 2}
        assert [ended.outcome for ended in notes.jobs] == [JobOutcome.FAILED]

    run_virtually(main())


def test_a_job_whose_caller_leaves_is_cancelled_with_its_batches() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(2, observer=notes)
        task = submit(pool, job(1.0, 20))
        await asyncio.sleep(0.5)
        assert pool.dispatcher.running_batches
        (running,) = pool.dispatcher.running_jobs
        assert running.begun
        assert 0 < running.progress < 0.2
        task.cancel()
        await asyncio.sleep(0.5)
        assert [ended.outcome for ended in notes.jobs] == [JobOutcome.CANCELLED]
        assert notes.outcomes()[BatchOutcome.CANCELLED] >= 2
        assert not pool.dispatcher.running_batches
        assert not pool.dispatcher.running_jobs

    run_virtually(main())


def test_deadlines_and_refusals_are_told_by_name() -> None:
    async def main() -> None:
        notes = Notes()
        settings = Settings(max_compute_seconds=100, max_queued_seconds=1)
        pool = SimulatedPool(1, settings, observer=notes)
        for what, error in ((job(200.0), TooCostlyError), (job(50.0), DeadlineError)):
            with pytest.raises(error):
                await pool.dispatcher.run(what, timeout_seconds=0.1)
        pool.dispatcher.draining = True
        with pytest.raises(DrainingError):
            await pool.dispatcher.run(job(1.0))
        assert [ended.outcome for ended in notes.jobs] == [
            JobOutcome.REFUSED, JobOutcome.DEADLINE, JobOutcome.REFUSED,
        ]  # fmt: skip
        assert [name_of(ended.error) for ended in notes.jobs if ended.error] == ["too-costly", "deadline", "draining"]

    run_virtually(main())


def test_both_runs_of_a_comparison_are_told_also_when_the_second_fails() -> None:
    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(1, ROOMY, observer=notes)
        with pytest.raises(DeadlineError):
            await pool.dispatcher.run(job(0.5), job(0.5), timeout_seconds=0.7)
        assert [ended.outcome for ended in notes.jobs] == [JobOutcome.SUCCEEDED, JobOutcome.DEADLINE]

    run_virtually(main())


def test_several_look_on_as_one() -> None:
    first, second = Notes(), Notes()
    both = Observers(first, second)
    ended = EndedJob(job_of(1), JobOutcome.REFUSED, QueueFullError("full", 1), 0.0, 0.0, 0.0, None)
    both.job_ended(ended)
    both.retried(RetryCause.LATE)
    assert first == second == Notes(causes=[RetryCause.LATE], jobs=[ended])
    assert outcome_of(ended.error) is JobOutcome.REFUSED
    assert name_of(QueueFullError("full", 1)) == "queue-full"


class Broken:
    """An observer with a bug."""

    def _fail(self, *_: object) -> None:
        raise RuntimeError("a bug")

    batch_ended = retried = job_ended = _fail


def test_one_that_raises_is_no_harm_to_jobs_nor_to_the_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "ray.serve")

    async def main() -> None:
        notes = Notes()
        pool = SimulatedPool(2, observer=Observers(Broken(), notes))
        task = submit(pool, job(0.5, 20))
        await asyncio.sleep(1.0)
        pool.kill("w1")
        (result,) = await task
        assert result.counts == [result.job.task.length] * 20
        assert notes.jobs
        assert notes.causes
        assert len(notes.batches) == len(pool.calls)

    run_virtually(main())
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["Broken cannot note what happens"]

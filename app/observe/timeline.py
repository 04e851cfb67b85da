"""What one dispatcher's batches and jobs did lately, in bounded memory: told to whoever asks."""

import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from app.job import BatchRecord, Job
from app.observe.news import JobStory, News, Since, Stage, ToldBatch, ToldJob, ToldRunning, Totals
from app.observer import EndedBatch, EndedJob, JobOutcome, RetryCause, RunningBatch, RunningJob, name_of

MAX_BATCHES = 20_000
"""About 8 MB."""
MAX_JOBS = 200
MAX_BATCH_RECORDS = 50_000
"""Of all the remembered jobs together, about 10 MB; those of the oldest jobs go first."""
HISTORY_SECONDS = 60.0
MOST_AT_FIRST = 2_000
"""How far back the first news go, and how many batches they tell at most."""

STAGES = {
    JobOutcome.SUCCEEDED: Stage.SUCCEEDED,
    JobOutcome.REFUSED: Stage.REFUSED,
    JobOutcome.CANCELLED: Stage.CANCELLED,
}
T = TypeVar("T")


class Shown(Protocol):
    """What is going on now: a dispatcher, or the keeper."""

    @property
    def running_batches(self) -> Iterable[RunningBatch]:
        """What is on the workers."""
        ...

    @property
    def running_jobs(self) -> Iterable[RunningJob]:
        """The unfinished jobs."""
        ...


class Remembered(NamedTuple):
    """A job that is over: without its result, which may be large, and its error, which holds on to a whole stack."""

    told: ToldJob
    request: BaseModel | None
    records: list[BatchRecord]


class Timeline:
    """An ``Observer`` that remembers."""

    def __init__(self, *, durable: bool = False, clock: Callable[[], float] = time.perf_counter) -> None:
        """``durable``: whether the jobs are; ``clock``: the dispatcher's."""
        self._source = uuid.uuid4().hex[:12]
        self._durable = durable
        self._clock = clock
        self._batches: deque[ToldBatch] = deque(maxlen=MAX_BATCHES)
        self._num_batches = 0
        self._jobs: deque[Remembered] = deque(maxlen=MAX_JOBS)
        self._num_jobs = 0
        self._num_records = 0
        self._units: Counter[str] = Counter()
        self._busy_seconds = 0.0

    # What an observer is told

    def batch_ended(self, batch: EndedBatch) -> None:
        """As ``Observer`` says, and so are the next two."""
        job = batch.job
        kernel = job.task.kernel
        self._batches.append(
            ToldBatch(
                batch.worker_id,
                job.job_id,
                job.caller,
                kernel,
                batch.dispatched_at,
                batch.ended_at,
                batch.compute_seconds,
                batch.job_units,
                batch.attempts,
                batch.outcome,
                batch.num_jobs,
            )
        )
        self._num_batches += 1
        self._busy_seconds += batch.compute_seconds
        if batch.node_id:
            self._units[kernel] += batch.num_units

    def retried(self, cause: RetryCause) -> None:
        """Nothing: the batches say it."""

    def job_ended(self, job: EndedJob) -> None:
        records = [] if job.result is None else job.result.batches
        if len(self._jobs) == MAX_JOBS:
            self._num_records -= len(self._jobs[0].records)
        self._jobs.append(Remembered(self._ended(job), job.job.request, records))
        self._num_jobs += 1
        self._num_records += len(records)
        if self._num_records > MAX_BATCH_RECORDS:
            self._forget_records()

    def _forget_records(self) -> None:
        for i, job in enumerate(self._jobs):
            if self._num_records <= MAX_BATCH_RECORDS:
                break
            self._num_records -= len(job.records)
            self._jobs[i] = job._replace(records=[])

    # What others are told

    def since(self, known: Mapping[str, Since], shown: Shown) -> News:
        """What has happened since what is known, by source; if nothing of this one is, all of the last minute."""
        now = self._clock()
        if (since := known.get(self._source)) is not None:
            batches = _last(self._batches, self._num_batches - since.batches_at)
            jobs = _last(self._jobs, self._num_jobs - since.jobs_at)
        else:
            newest = _last(self._batches, MOST_AT_FIRST)
            batches = [batch for batch in newest if batch.ended_at >= now - HISTORY_SECONDS]
            jobs = list(self._jobs)
        return News(
            source=self._source,
            now=now,
            batches_at=self._num_batches,
            jobs_at=self._num_jobs,
            batches=tuple(batches),
            jobs=tuple(job.told for job in jobs),
            running=tuple(map(_running, shown.running_batches)),
            unfinished=tuple(map(self._unfinished, _first_of_each_caller(shown.running_jobs))),
            totals=Totals(dict(self._units), self._num_jobs, self._busy_seconds),
        )

    def story(self, job_id: str, caller: str) -> JobStory | None:
        """The caller's job, if it is over and one of the last; None if it is not."""
        for job in reversed(self._jobs):
            if (job.told.job_id, job.told.caller) == (job_id, caller):
                request = None if job.request is None else job.request.model_dump(mode="json", exclude_unset=True)
                return JobStory(job.told, self._clock(), request, tuple(job.records))
        return None

    def _ended(self, ended: EndedJob) -> ToldJob:
        result = ended.result
        timing = None if result is None else result.timing
        return ToldJob(
            *_named(ended.job),
            durable=self._durable,
            stage=STAGES.get(ended.outcome, Stage.FAILED),
            accepted_at=ended.accepted_at,
            ended_at=ended.ended_at,
            predicted_seconds=ended.predicted_seconds,
            total_seconds=ended.ended_at - ended.accepted_at,
            queued_seconds=None if timing is None else timing.queued_seconds,
            compute_seconds=0.0 if timing is None else timing.compute_seconds,
            num_workers=0 if timing is None else timing.num_workers,
            num_batches=0 if timing is None else timing.num_batches,
            num_recomputed=0 if result is None else result.num_recomputed,
            progress=0.0 if result is None else 1.0,
            problem=None if ended.error is None else name_of(ended.error),
        )

    def _unfinished(self, running: RunningJob) -> ToldJob:
        return ToldJob(
            *_named(running.job),
            durable=self._durable,
            stage=Stage.RUNNING if running.begun else Stage.QUEUED,
            accepted_at=running.accepted_at,
            ended_at=None,
            predicted_seconds=running.predicted_seconds,
            total_seconds=None,
            queued_seconds=None,
            compute_seconds=running.compute_seconds,
            num_workers=0,
            num_batches=running.num_batches,
            num_recomputed=0,
            progress=running.progress,
            problem=None,
        )


def _first_of_each_caller(jobs: Iterable[RunningJob]) -> Iterator[RunningJob]:
    """As many as are shown, of each: nobody's are left out because others have more."""
    number: Counter[str] = Counter()
    for job in jobs:
        number[job.job.caller] += 1
        if number[job.job.caller] <= MAX_JOBS:
            yield job


def _last(items: deque[T], number: int) -> list[T]:
    return list(islice(items, max(0, len(items) - number), None))


def _named(job: Job) -> tuple[str, str, str, int, int, str]:
    task = job.task
    return job.job_id, job.caller, task.kernel, task.num_lines, task.length, job.execution


def _running(batch: RunningBatch) -> ToldRunning:
    job = batch.job
    return ToldRunning(
        batch.worker_id, job.job_id, job.caller, job.task.kernel, batch.dispatched_at,
        batch.predicted_seconds, batch.job_units, batch.attempts, batch.late, batch.num_jobs,
    )  # fmt: skip

"""What one dispatcher's batches and jobs add up to: plain numbers, that only grow."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import product

from app.errors import CallerLimitError, DrainingError, NoWorkerError, QueueFullError, TooCostlyError
from app.job import Execution
from app.observe import metrics
from app.observe.metrics import DURATIONS, Sample
from app.observer import BatchOutcome, EndedBatch, EndedJob, JobOutcome, RetryCause, name_of

REFUSALS = (CallerLimitError, DrainingError, NoWorkerError, QueueFullError, TooCostlyError)
PLACES = tuple((low + high) / 2 for low, high in zip((0.0, *DURATIONS), (*DURATIONS, 2 * DURATIONS[-1]), strict=True))
"""The middle of each of the histogram's buckets: which one counts, and not where in it."""


class Counts:
    """An ``Observer`` that counts.

    What has never happened is 0 from the start, not missing: of what begins at 1, Prometheus sees no increase.
    """

    def __init__(self, kernels: Iterable[str] = ()) -> None:
        """``kernels``: by their names; others are counted as they come."""
        self._jobs = dict.fromkeys(product(JobOutcome, Execution, kernels), 0)
        self._refusals = {name_of(error.__new__(error)): 0 for error in REFUSALS}
        self._accepted_seconds = 0.0
        self._refused_seconds = 0.0
        self._job_queued_seconds = 0.0
        self._job_compute_seconds = 0.0
        self._durations = {execution: [0] * len(PLACES) for execution in Execution}
        self._batches = dict.fromkeys(BatchOutcome, 0)
        self._predicted_seconds = 0.0
        self._compute_seconds = 0.0
        self._cpu_seconds = 0.0
        self._num_coalesced = 0
        self._retries = dict.fromkeys(RetryCause, 0)
        self._num_wrong = 0

    def batch_ended(self, batch: EndedBatch) -> None:
        """As ``Observer`` says, and so are the next two. This one is on the hot path: additions, and nothing else."""
        outcome = batch.outcome
        self._batches[outcome] += 1
        if batch.num_jobs > 1:
            self._num_coalesced += batch.num_jobs
        if batch.node_id:  # it came back
            self._predicted_seconds += batch.predicted_seconds
            self._compute_seconds += batch.compute_seconds
            self._cpu_seconds += batch.cpu_seconds
            # One that failed although it came back cannot be joined to the others, or no two workers agree.
            self._num_wrong += outcome is BatchOutcome.WRONG or outcome is BatchOutcome.FAILED

    def retried(self, cause: RetryCause) -> None:
        self._retries[cause] += 1

    def job_ended(self, job: EndedJob) -> None:
        asked = job.job
        key = job.outcome, asked.execution, asked.task.kernel
        self._jobs[key] = self._jobs.get(key, 0) + 1
        if job.outcome is JobOutcome.REFUSED:
            self._refused(job)
            return
        self._accepted_seconds += job.predicted_seconds
        if job.result is not None:
            timing = job.result.timing
            self._job_queued_seconds += timing.queued_seconds
            self._job_compute_seconds += timing.compute_seconds
            self._durations[asked.execution][bisect_left(DURATIONS, timing.total_seconds)] += 1

    def _refused(self, job: EndedJob) -> None:
        error = job.error
        costly = error.predicted_compute_seconds if isinstance(error, TooCostlyError) else 0.0
        self._refused_seconds += job.predicted_seconds or costly
        if error is not None:
            name = name_of(error)
            self._refusals[name] = self._refusals.get(name, 0) + 1

    def samples(self) -> Iterator[Sample]:
        """What has been counted so far."""
        for key, number in self._jobs.items():
            yield Sample(metrics.JOBS, key, number)
        for name, number in self._refusals.items():
            yield Sample(metrics.REFUSALS, (name,), number)
        yield Sample(metrics.PREDICTED, ("accepted",), self._accepted_seconds)
        yield Sample(metrics.PREDICTED, ("refused",), self._refused_seconds)
        yield Sample(metrics.JOB_QUEUED, (), self._job_queued_seconds)
        yield Sample(metrics.JOB_COMPUTED, (), self._job_compute_seconds)
        for execution, numbers in self._durations.items():
            for place, number in zip(PLACES, numbers, strict=True):
                yield Sample(metrics.JOB_DURATION, (execution,), number, place)
        for outcome, number in self._batches.items():
            yield Sample(metrics.BATCHES, (outcome,), number)
        yield Sample(metrics.BATCH_PREDICTED, (), self._predicted_seconds)
        yield Sample(metrics.BATCH_COMPUTED, (), self._compute_seconds)
        yield Sample(metrics.BATCH_CPU, (), self._cpu_seconds)
        yield Sample(metrics.COALESCED, (), self._num_coalesced)
        for cause, number in self._retries.items():
            yield Sample(metrics.RETRIES, (cause,), number)
        yield Sample(metrics.VERIFICATION_FAILURES, (), self._num_wrong)

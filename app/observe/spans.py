"""A job that is over as spans, under that of the request that waited for it: its waiting, its batches, their computing.

They are made from the batches' records, in one go: until then nothing is kept, and nothing travels to the workers.
"""

import time
from collections.abc import Callable

from opentelemetry.trace import Span, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.util.types import AttributeValue

from app.job import BatchRecord, JobResult
from app.observer import EndedBatch, EndedJob, JobOutcome, RetryCause, name_of

MAX_BATCHES = 128
"""Of one job: receivers refuse traces that are too large, and a large job has thousands."""
PREFIX = "fibonacci"


class Spans:
    """An ``Observer`` that makes spans of the jobs whose request is traced."""

    def __init__(
        self,
        tracer: Tracer,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """``clock``: the dispatcher's; ``wall_clock_ns``: that of the requests' spans."""
        self._tracer = tracer
        self._clock = clock
        self._wall_clock_ns = wall_clock_ns

    def batch_ended(self, batch: EndedBatch) -> None:
        """Nothing, as of the next: the job's end says it all."""

    def retried(self, cause: RetryCause) -> None: ...

    def job_ended(self, job: EndedJob) -> None:
        """As ``Observer`` says."""
        request = get_current_span()
        if not request.is_recording():
            return
        zero_ns = self._wall_clock_ns() - round(1e9 * (self._clock() - job.accepted_at))
        span = self._span(request, f"job {job.job.task.kernel}", zero_ns, 0.0, _of_job(job))
        if job.result is not None:
            self._batches(span, job.result, zero_ns)
        if job.outcome is not JobOutcome.SUCCEEDED:
            span.set_status(Status(StatusCode.ERROR, job.outcome.value))
        span.end(_at(zero_ns, job.ended_at - job.accepted_at))

    def _batches(self, span: Span, result: JobResult, zero_ns: int) -> None:
        queue = self._span(span, "queue", zero_ns, 0.0)
        queue.end(_at(zero_ns, result.timing.queued_seconds))
        for record in result.batches[:MAX_BATCHES]:
            if record.returned_at_seconds <= 0:
                continue  # another result came first
            batch = self._span(span, "batch", zero_ns, record.dispatched_at_seconds, _of_batch(record))
            began, ended = computing(record)
            self._span(batch, "compute", zero_ns, began).end(_at(zero_ns, ended))
            batch.end(_at(zero_ns, record.returned_at_seconds))

    def _span(
        self,
        parent: Span,
        name: str,
        zero_ns: int,
        seconds: float,
        attributes: dict[str, AttributeValue] | None = None,
    ) -> Span:
        """One that begins so long after the job's acceptance."""
        return self._tracer.start_span(
            name, set_span_in_context(parent), attributes=attributes, start_time=_at(zero_ns, seconds)
        )


def computing(record: BatchRecord) -> tuple[float, float]:
    """When the worker computed and checked it, in seconds since the job's acceptance.

    Only durations come from the worker, whose clock is another one. What is left of the time that the batch was away
    is taken as its way there and back, half each.
    """
    away = record.returned_at_seconds - record.dispatched_at_seconds
    way = max(0.0, away - record.worker_queued_seconds - record.compute_seconds) / 2
    ended = record.returned_at_seconds - way
    return max(record.dispatched_at_seconds, ended - record.compute_seconds), ended


def _at(zero_ns: int, seconds: float) -> int:
    return zero_ns + round(1e9 * seconds)


def _of_job(ended: EndedJob) -> dict[str, AttributeValue]:
    job, result = ended.job, ended.result
    attributes: dict[str, AttributeValue] = {
        f"{PREFIX}.job": job.job_id,
        f"{PREFIX}.kernel": job.task.kernel,
        f"{PREFIX}.execution": job.execution.value,
        f"{PREFIX}.outcome": ended.outcome.value,
        f"{PREFIX}.predicted_seconds": ended.predicted_seconds,
    }
    if job.caller:
        attributes[f"{PREFIX}.caller"] = job.caller
    if job.request_id:
        attributes[f"{PREFIX}.request_id"] = job.request_id
    if result is not None:
        attributes[f"{PREFIX}.num_batches"] = result.timing.num_batches
        attributes[f"{PREFIX}.num_workers"] = result.timing.num_workers
        attributes[f"{PREFIX}.num_recomputed"] = result.num_recomputed
    if ended.error is not None:
        attributes["error.type"] = name_of(ended.error)
    return attributes


def _of_batch(record: BatchRecord) -> dict[str, AttributeValue]:
    return {
        f"{PREFIX}.worker": record.worker_id,
        f"{PREFIX}.node": record.node_id,
        f"{PREFIX}.num_units": record.num_units,
        f"{PREFIX}.attempts": record.attempts,
    }

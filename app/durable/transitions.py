"""What becomes of a durable job's record: each function returns the next one. Times are wall-clock milliseconds."""

from dataclasses import replace

from app.durable.checkpoint import checkpoint_text
from app.durable.outcome import error_text, result_text
from app.durable.records import Record, State
from app.errors import GaveUpError, JobError
from app.job import JobResult
from app.queue.live_job import LiveJob

MAX_STALLED = 10
"""So many keepers in a row may have gone on with a job and died, without any progress, before it fails: it may be the
job that kills them."""


def resumed(record: Record, now: int, ttl: int) -> Record:
    """A new keeper goes on with a job that was running, or gives it up."""
    record = replace(record, resumed=record.resumed + 1, stalled=record.stalled + 1, revision=record.revision + 1)
    if record.stalled > MAX_STALLED:
        return failed(record, GaveUpError(record.stalled), now, ttl)
    return record


def begun_again(record: Record) -> Record:
    """Nothing of what was done can be used."""
    return replace(record, checkpoint=None, units_done=0, core_seconds=0.0, revision=record.revision + 1)


def released(record: Record) -> Record:
    """Its keeper ends in good order: the job has not killed it."""
    return replace(record, stalled=0, revision=record.revision + 1)


def advanced(record: Record, live: LiveJob, now: int) -> Record:
    """As far as it is now; the same record if nothing is new."""
    new = record
    if live.begun and record.state is State.QUEUED:
        new = replace(record, state=State.RUNNING, started_at=now)
    progress = live.progress
    units = progress.num_units(live.job.task)
    if units > record.units_done:
        new = replace(
            new,
            checkpoint=checkpoint_text(progress), checkpoint_at=now, units_done=units,
            core_seconds=progress.compute_seconds, stalled=0,
        )  # fmt: skip
    return record if new is record else replace(new, revision=record.revision + 1)


def succeeded(record: Record, result: JobResult, now: int, ttl: int) -> Record:
    """It is computed."""
    over = _over(record, State.SUCCEEDED, now, ttl)
    started_at = over.started_at or now
    timing = replace(
        result.timing,
        total_seconds=max(0, now - over.created_at) / 1000,  # over all keepers that had it
        queued_seconds=max(0, started_at - over.created_at) / 1000,
        predicted_compute_seconds=over.predicted_core_seconds,
    )
    return replace(
        over,
        started_at=started_at, result=result_text(replace(result, timing=timing)), units_done=over.total_units,
        core_seconds=timing.compute_seconds,
    )  # fmt: skip


def failed(record: Record, error: JobError, now: int, ttl: int) -> Record:
    """It cannot be computed, or not in time."""
    return replace(_over(record, State.FAILED, now, ttl), error=error_text(error))


def cancelled(record: Record, now: int, ttl: int) -> Record:
    """Its caller does not want it any more."""
    return _over(record, State.CANCELLED, now, ttl)


def _over(record: Record, state: State, now: int, ttl: int) -> Record:
    return replace(
        record,
        state=state, finished_at=now, expires_at=now + ttl, checkpoint=None, revision=record.revision + 1,
    )  # fmt: skip

"""Durable jobs as those who look on see them: their times are turned into the clock of whoever dispatches them."""

from collections.abc import Iterable

from app.durable.kept import Kept
from app.durable.outcome import error_of
from app.durable.records import NewJob, Record, State
from app.durable.runner import Runner
from app.durable.tasks import new_task
from app.errors import RefusedError
from app.job import Job, JobResult
from app.kernel import Offer, Task
from app.observer import EndedJob, JobOutcome, RunningJob, outcome_of


def running_jobs(jobs: Iterable[Kept], runner: Runner, ahead_seconds: float) -> Iterable[RunningJob]:
    """The unfinished ones. ``ahead_seconds``: of the wall clock before the runner's."""
    for kept in jobs:
        if kept.task is None:
            continue  # nothing is known of it but its text
        record = kept.record
        live = runner.get(record.job_id)
        yield RunningJob(
            _job(record, kept.task),
            begun=record.state is State.RUNNING or (live is not None and live.begun),
            accepted_at=record.created_at / 1000 - ahead_seconds,
            predicted_seconds=record.predicted_core_seconds,
            progress=record.units_done / record.total_units if record.total_units else 0.0,
            compute_seconds=record.core_seconds if live is None else live.compute_seconds,
            num_batches=0 if live is None else live.progress.num_batches,
        )


def ended_job(kept: Kept, record: Record, ahead_seconds: float) -> EndedJob | None:
    """One that is over, as ``record`` says; None if it could not be computed here."""
    if kept.task is None:
        return None
    result = kept.outcome if isinstance(kept.outcome, JobResult) and record.state is State.SUCCEEDED else None
    error = None if record.error is None else error_of(record.error)
    outcome = JobOutcome.CANCELLED if record.state is State.CANCELLED else outcome_of(error)
    return EndedJob(
        _job(record, kept.task),
        outcome,
        error,
        accepted_at=record.created_at / 1000 - ahead_seconds,
        ended_at=(record.finished_at or record.created_at) / 1000 - ahead_seconds,
        predicted_seconds=record.predicted_core_seconds,
        result=result,
    )


def refused_job(new: NewJob, offers: Iterable[Offer], error: RefusedError, now: float) -> EndedJob:
    """One that was not accepted."""
    job = Job(new.job_id, new_task(new, offers), caller=new.caller)
    return EndedJob(job, JobOutcome.REFUSED, error, now, now, 0.0, None)


def _job(record: Record, task: Task) -> Job:
    return Job(record.job_id, task, caller=record.caller)

"""Jobs that are over, for tests of those who look on."""

from app.job import BatchRecord, Execution, Job, JobResult, Timing
from app.kernel import Part
from app.observer import EndedJob, outcome_of
from tests.tasks import job_of

ACCEPTED_AT = 100.0
"""By the dispatcher's clock; it was over 2 s later."""


def record(worker_id: str = "w1", *, sent: float = 0.5, back: float = 1.5, attempts: int = 1) -> BatchRecord:
    """Of a batch that waited 0.1 s on its worker and was computed for 0.6 s."""
    return BatchRecord(worker_id, "node", 10, attempts, sent, back, 0.1, 0.6)


def asked(caller: str = "alice", request_id: str = "req-1") -> Job:
    """A job of 20 units."""
    job = job_of(10, 2, job_id="1" * 32)
    return Job(job.job_id, job.task, Execution.DISTRIBUTED, caller, request_id)


def succeeded(*records: BatchRecord, job: Job | None = None) -> EndedJob:
    """One that waited half a second for its first batch."""
    job = job or asked()
    timing = Timing(2.0, 0.5, 1.25, 2, len(records), 1.5)
    result = JobResult(job, [10, 10], Part(), 2, 1, timing, list(records))
    return EndedJob(job, outcome_of(None), None, ACCEPTED_AT, ACCEPTED_AT + 2, 1.5, result)


def ended_in(error: BaseException, *, predicted_seconds: float = 1.5, job: Job | None = None) -> EndedJob:
    """One that came to nothing."""
    return EndedJob(
        job or asked(), outcome_of(error), error, ACCEPTED_AT, ACCEPTED_AT + 2, predicted_seconds, result=None
    )

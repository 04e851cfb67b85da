"""What ``app`` tells whoever looks on: which batches are over, what goes again, what became of each job.

Page, metrics, the line a job and traces are made from it. Nobody who looks on may raise, or take long.
"""

import asyncio
import re
from enum import StrEnum
from typing import NamedTuple, Protocol

from app.errors import DeadlineError, NoWorkerError, RefusedError
from app.job import Job, JobResult


class BatchOutcome(StrEnum):
    """What became of a batch."""

    OK = "ok"
    LATE = "late"
    """It was not back in time, and its jobs were given to another worker, whether or not it came back after that."""
    LOST = "lost"
    """Its worker died, left or cannot be reached."""
    FAILED = "failed"
    """Its worker's code raised, or answered with something else than a result."""
    WRONG = "wrong"
    """A part of it failed its check."""
    CANCELLED = "cancelled"
    """Nobody needed it any more."""


class RetryCause(StrEnum):
    """Why a part of a job is computed again."""

    LATE = "late"
    LOST = "lost"
    FAILED = "failed"
    WRONG = "wrong"
    """It failed its check, or disagreed with its neighbours."""


class JobOutcome(StrEnum):
    """What became of a job."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """Not admitted."""
    CANCELLED = "cancelled"
    """Its caller left, or said so."""
    DEADLINE = "deadline"
    LOST = "lost"
    """There was no worker for too long."""
    FAILED = "failed"


def outcome_of(error: BaseException | None) -> JobOutcome:
    """What became of a job that ended in this."""
    match error:
        case None:
            return JobOutcome.SUCCEEDED
        case asyncio.CancelledError():
            return JobOutcome.CANCELLED
        case DeadlineError():
            return JobOutcome.DEADLINE
        case NoWorkerError():
            return JobOutcome.LOST
        case RefusedError():
            return JobOutcome.REFUSED
        case _:
            return JobOutcome.FAILED


def name_of(error: BaseException) -> str:
    """As in the address of the problem's page: ``too-costly`` of a ``TooCostlyError``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()


class EndedBatch(NamedTuple):
    """A batch that has left its worker. Times by the dispatcher's clock, durations in seconds."""

    worker_id: str
    node_id: str
    """Empty if nothing came back."""
    job: Job
    """The first that it computed for."""
    num_jobs: int
    job_units: int
    """Of the first job alone."""
    num_units: int
    attempts: int
    """Of its first part: how many workers have had it, this one included."""
    outcome: BatchOutcome
    dispatched_at: float
    ended_at: float
    predicted_seconds: float
    queued_seconds: float
    """This and the next two by the worker's clock; 0 if nothing came back."""
    compute_seconds: float
    cpu_seconds: float


class RunningBatch(NamedTuple):
    """A batch that is on a worker now."""

    worker_id: str
    job: Job
    num_jobs: int
    job_units: int
    """Of the first job alone."""
    attempts: int
    dispatched_at: float
    predicted_seconds: float
    late: bool
    """Whether its jobs have been given to another worker meanwhile."""


class RunningJob(NamedTuple):
    """A job that has been admitted and has not ended."""

    job: Job
    begun: bool
    """Whether a batch of it has been sent."""
    accepted_at: float
    predicted_seconds: float
    progress: float
    """How much of it is done, in seconds of computing: from 0 to 1."""
    compute_seconds: float
    num_batches: int


class EndedJob(NamedTuple):
    """A job that is over. Times by the dispatcher's clock."""

    job: Job
    outcome: JobOutcome
    error: BaseException | None
    """What it ended in, if not in a result."""
    accepted_at: float
    ended_at: float
    predicted_seconds: float
    """Of computing, at admission; 0 if it was refused."""
    result: JobResult | None


class Observer(Protocol):
    """Whoever looks on."""

    def batch_ended(self, batch: EndedBatch) -> None:
        """A batch has left its worker, however."""
        ...

    def retried(self, cause: RetryCause) -> None:
        """A part of a job has to be computed again."""
        ...

    def job_ended(self, job: EndedJob) -> None:
        """A job is over; called in the context of whoever waits for it."""
        ...


class Nobody:
    """Nobody looks on."""

    def batch_ended(self, batch: EndedBatch) -> None:
        """Nothing comes of it, as of the next two."""

    def retried(self, cause: RetryCause) -> None: ...

    def job_ended(self, job: EndedJob) -> None: ...

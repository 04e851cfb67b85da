"""What one dispatcher has to tell of its batches and jobs: plain data that crosses processes.

Times are by the clock of whoever tells it, ``now`` among them: differences of them count, and nothing else.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from pydantic import JsonValue

from app.job import BatchRecord


class Stage(StrEnum):
    """Where a job is, as it is shown."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"

    @property
    def done(self) -> bool:
        """Whether it stays so."""
        return self not in (Stage.QUEUED, Stage.RUNNING)


class ToldBatch(NamedTuple):
    """A batch that has left its worker."""

    worker_id: str
    job_id: str
    """Of the first job in it."""
    caller: str
    """Whose job that is."""
    kernel: str
    began_at: float
    ended_at: float
    compute_seconds: float
    job_units: int
    attempts: int
    outcome: str
    num_jobs: int


class ToldRunning(NamedTuple):
    """A batch that is on a worker."""

    worker_id: str
    job_id: str
    caller: str
    kernel: str
    began_at: float
    predicted_seconds: float
    job_units: int
    attempts: int
    late: bool
    num_jobs: int


class ToldJob(NamedTuple):
    """A job, running or over."""

    job_id: str
    caller: str
    kernel: str
    num_lines: int
    length: int
    execution: str
    durable: bool
    stage: Stage
    accepted_at: float
    ended_at: float | None
    predicted_seconds: float
    total_seconds: float | None
    queued_seconds: float | None
    compute_seconds: float
    num_workers: int
    num_batches: int
    num_recomputed: int
    progress: float
    problem: str | None

    def shifted(self, seconds: float) -> "ToldJob":
        """The same by a clock that is so much ahead."""
        ended_at = None if self.ended_at is None else self.ended_at + seconds
        return self._replace(accepted_at=self.accepted_at + seconds, ended_at=ended_at)


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the dispatcher began."""

    units: dict[str, int]
    """By kernel."""
    jobs: int
    busy_seconds: float


@dataclass(frozen=True, slots=True)
class News:
    """What has happened since a place in the order of events, and what is going on."""

    source: str
    """Whose it is: it changes when a dispatcher begins anew."""
    now: float
    batches_at: int
    """The number of the last batch that is told, or was before."""
    jobs_at: int
    """The same for the jobs that are over."""
    batches: tuple[ToldBatch, ...]
    """In order, without a gap but for those that nobody remembers."""
    jobs: tuple[ToldJob, ...]
    """Those that are over."""
    running: tuple[ToldRunning, ...]
    unfinished: tuple[ToldJob, ...]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Since:
    """How far somebody has been told of a dispatcher: the numbers of its last batch and job."""

    batches_at: int = 0
    jobs_at: int = 0


@dataclass(frozen=True, slots=True)
class JobStory:
    """A job with its batches, and what was asked."""

    job: ToldJob
    now: float
    request: dict[str, JsonValue] | None
    batches: tuple[BatchRecord, ...]

    def shifted(self, seconds: float) -> "JobStory":
        """The same by a clock that is so much ahead."""
        return replace(self, job=self.job.shifted(seconds), now=self.now + seconds)

"""A durable job as it is stored, and as callers see it: plain data that crosses processes."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a durable job is: queued -> running -> one of the last three, or from queued straight to those."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def done(self) -> bool:
        """Whether it stays so."""
        return self not in UNFINISHED


UNFINISHED = (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a caller has asked for."""

    job_id: str
    caller: str
    kernel: str
    request: str
    """The validated body, as JSON: the kernel's own fields, and the service's."""
    num_workers: int
    """When it was accepted: what a request without numbers of its own counts by."""
    timeout_seconds: float | None
    key: str | None = None
    """The Idempotency-Key."""
    fingerprint: str = ""
    """SHA-256 of kernel and validated body, as sent: a key is for one of them."""


@dataclass(frozen=True, slots=True)
class Record:
    """One durable job, as it was last committed. Times are milliseconds since 1970, UTC."""

    job_id: str
    number: int
    """Order of acceptance; given by the store."""
    caller: str
    key: str | None
    fingerprint: str
    kernel: str
    request: str
    num_workers: int
    state: State
    created_at: int
    deadline_at: int
    predicted_core_seconds: float
    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int | None = None
    """When a finished job may be forgotten."""
    core_seconds: float = 0.0
    """Computed so far, and kept."""
    checkpoint: str | None = None
    """JSON, as ``app.durable.checkpoint`` writes it; None once the job is over."""
    checkpoint_at: int | None = None
    units_done: int = 0
    total_units: int = 0
    revision: int = 1
    """One more at each commit that changes it."""
    resumed: int = 0
    """How often a new keeper went on with it."""
    stalled: int = 0
    """How often in a row one did, without any progress since the last time."""
    result: str | None = None
    """JSON, as ``app.durable.outcome`` writes it: only of one that succeeded."""
    error: str | None = None
    """JSON, the same: only of one that failed."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A durable job as a caller may see it: what is committed, and what is predicted from that."""

    record: Record
    epoch: int
    """Of the keeper that says so: with the revision it makes an event's id."""
    queue_position: int | None = None
    """While queued: how many of the caller's jobs come before it."""
    estimated_finish_at: int | None = None
    """Milliseconds since 1970; None while nothing is known of the speed."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a caller's jobs, newest first."""

    views: tuple[JobView, ...]
    next_number: int | None
    """The next page has those before this number; None if there is none."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since a cursor."""

    cursor: str
    views: tuple[JobView, ...]
    gone: tuple[str, ...] = ()
    """Job ids that are not there any more."""

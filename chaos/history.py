"""What clients did with durable jobs and what they were told, each with its times. ``chaos.verdict`` judges it."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.durable.records import State
from chaos.jobs import Digest, JobSpec, digest


class Act(StrEnum):
    """What a client wants."""

    SUBMIT = "submit"
    READ = "read"
    CANCEL = "cancel"
    EVENT = "event"


class End(StrEnum):
    """What a client knows afterwards."""

    PENDING = "pending"
    OK = "ok"
    FAIL = "fail"
    """It was refused: nothing was done."""
    UNKNOWN = "unknown"
    """No answer, or one that leaves open whether it was done."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A durable job as a client was told of it."""

    job_id: str
    state: State
    units: int
    """Done and kept."""
    fraction: float
    core_seconds: float
    resumed: int
    digest: Digest | None = None
    """Of the result."""
    revision: int | None = None
    """Only events tell it."""

    @classmethod
    def of(cls, job: dict[str, Any], event_id: str = "") -> "Seen":
        """From the API's JSON, and the id of the event that it came with. Raises ``LookupError`` or ``ValueError``."""
        progress, result = job["progress"], job["result"]
        return cls(
            job_id=job["job_id"],
            state=State(job["state"]),
            units=progress["terms"],
            fraction=progress["fraction"],
            core_seconds=progress["core_seconds"],
            resumed=job["resumed"],
            digest=None if result is None else digest(result),
            revision=int(event_id.rpartition("-")[2]) if event_id else None,
        )


@dataclass(slots=True, eq=False)
class Operation:
    """One request, or one event of a stream; times are seconds since the history's beginning."""

    act: Act
    job: JobSpec
    invoked: float
    """When it was sent; of an event, when its stream was asked for."""
    key: str = ""
    """The Idempotency-Key of a submission."""
    job_id: str = ""
    """Whose it is: of a submission, what was answered."""
    stream: int | None = None
    """Events of one stream come in order."""
    end: End = End.PENDING
    ended: float | None = None
    status: int | None = None
    gone: bool = False
    """Whether the service said that there is no such job."""
    error: str = ""
    seen: Seen | None = None

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return (self.ended or self.invoked) - self.invoked


@dataclass(slots=True)
class History:
    """All operations, in the order in which they began."""

    operations: list[Operation] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)

    @property
    def now(self) -> float:
        return time.perf_counter() - self.begun

    def invoke(self, act: Act, job: JobSpec, *, key: str = "", job_id: str = "") -> Operation:
        """An operation begins."""
        operation = Operation(act, job, self.now, key, job_id)
        self.operations.append(operation)
        return operation

    def told(self, operation: Operation, status: int, seen: Seen) -> None:
        """It was answered with the job."""
        operation.seen, operation.status, operation.job_id = seen, status, seen.job_id
        self._end(operation, End.OK)

    def refused(self, operation: Operation, status: int, error: str, *, gone: bool = False) -> None:
        """It was answered otherwise. Only a 4xx says that nothing was done."""
        operation.status, operation.error, operation.gone = status, error, gone
        self._end(operation, End.FAIL if 400 <= status < 500 else End.UNKNOWN)

    def unanswered(self, operation: Operation, error: str) -> None:
        """No whole answer came."""
        operation.error = error
        self._end(operation, End.UNKNOWN)

    def event(self, job: JobSpec, seen: Seen, stream: int, opened: float) -> None:
        """An event of a stream that was asked for at ``opened``: it may be older than what was read since then."""
        operation = Operation(Act.EVENT, job, opened, job_id=seen.job_id, stream=stream, status=200, seen=seen)
        self._end(operation, End.OK)
        self.operations.append(operation)

    def of(self, act: Act, end: End | None = None) -> list[Operation]:
        """The operations of a kind, with any end or this one."""
        return [each for each in list(self.operations) if each.act is act and end in (None, each.end)]

    def by_job(self) -> dict[str, list[Operation]]:
        """The operations on each job that a client was told the id of."""
        jobs: dict[str, list[Operation]] = defaultdict(list)
        for operation in list(self.operations):
            if operation.job_id:
                jobs[operation.job_id].append(operation)
        return dict(jobs)

    def seconds_of(self, act: Act) -> list[float]:
        """How long the answers with a job took."""
        return [operation.seconds for operation in self.of(act, End.OK)]

    def _end(self, operation: Operation, end: End) -> None:
        operation.end, operation.ended = end, self.now

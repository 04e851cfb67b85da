"""The vocabulary: jobs, segments, batches and what comes back. Plain data that crosses processes."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from app.kernel import Part, Task


class Execution(StrEnum):
    """How a job runs: whole, on one worker, in one call; or cut up over the pool."""

    LOCAL = "local"
    DISTRIBUTED = "distributed"


@dataclass(frozen=True, slots=True)
class Job:
    """A task, and who asked for it."""

    job_id: str
    task: Task
    execution: Execution = Execution.DISTRIBUTED
    caller: str = ""
    """Who asked for it: the queue is fair between callers first, then between a caller's jobs."""
    request_id: str = ""
    """Of the HTTP request that asked."""
    request: BaseModel | None = None
    """What was asked, as it was validated: for those who look on."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Units ``start`` .. ``stop - 1`` of ``count`` consecutive lines of one task.

    ``count`` keeps a batch of 10,000 short lines as small a message as a batch of one.
    """

    task: Task
    start: int
    stop: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call to a worker computes: segments of one job, or of several small ones of the same kernel."""

    segments: tuple[Segment, ...]
    short: bool = False
    """Whether its turn on the worker comes before that of longer ones."""
    background: bool = False
    """Whether all others come before it, but for a tenth of the worker's time."""

    @property
    def num_units(self) -> int:
        """In all lines of all its segments."""
        return sum((segment.stop - segment.start) * segment.count for segment in self.segments)


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What a worker really did for one segment, counted there and never copied from the request."""

    num_units: int
    """Units computed, summed over the ``count`` lines."""
    count: int
    verified: bool
    """Whether all of it passed the kernel's own check."""
    compute_seconds: float
    part: Part | None = None
    """What was found in the last of the lines, which are equal."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The answer of one call to a worker; durations by the worker's own clock."""

    worker_id: str
    node_id: str
    segments: tuple[SegmentResult, ...]
    queued_seconds: float
    """Time on the worker not spent computing: waiting for its one compute thread."""
    cpu_seconds: float
    """CPU time of the compute thread: less than the computing time where other work uses the core too."""


RunBatch = Callable[[str, Batch], Coroutine[Any, Any, BatchResult]]
"""Runs a batch on the worker with that id: the seam between the dispatcher and the workers.

Raises ``app.errors.WorkerLostError`` when the worker died or left. Cancelling it stops the work.
"""


@dataclass(slots=True)
class BatchRecord:
    """One batch's part in one job. Times are seconds since the job's acceptance, by the ingress's clock."""

    worker_id: str
    node_id: str
    num_units: int
    attempts: int
    dispatched_at_seconds: float
    returned_at_seconds: float
    worker_queued_seconds: float
    compute_seconds: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Where a job's time went, in seconds."""

    total_seconds: float
    queued_seconds: float
    """From acceptance to the first batch dispatched."""
    compute_seconds: float
    """Summed over the job's part of every batch."""
    num_workers: int
    num_batches: int
    predicted_compute_seconds: float

    @property
    def parallelism(self) -> float:
        """Mean number of busy workers: compute over total."""
        return self.compute_seconds / self.total_seconds if self.total_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class JobResult:
    """A finished job: every unit counted once, and every segment checked.

    A late batch may have been computed twice; only the first result counts.
    """

    job: Job
    counts: list[int]
    """Units computed in each line."""
    part: Part
    """What was found in a line: they are equal."""
    num_segments: int
    num_recomputed: int
    timing: Timing
    batches: list[BatchRecord]
    """The first 1,000 dispatched."""

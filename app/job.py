"""The vocabulary: jobs, segments, batches and what comes back. Plain data that crosses processes."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.kernels.fibonacci.terms import LastTerm


class Execution(StrEnum):
    """How a job runs: whole, on one worker, in one call; or cut up over the pool."""

    LOCAL = "local"
    DISTRIBUTED = "distributed"


@dataclass(frozen=True, slots=True)
class Job:
    """``num_sequences`` sequences of the terms F(0) .. F(sequence_size - 1)."""

    job_id: str
    sequence_size: int
    num_sequences: int
    execution: Execution = Execution.DISTRIBUTED
    caller: str = ""
    """Whose job it is: the fair queue is over callers first, then over a caller's jobs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Terms ``start`` .. ``stop - 1``, of ``count`` sequences of one job in a row.

    ``count`` keeps a batch of 10,000 short sequences as small a message as a batch of one.
    """

    start: int
    stop: int
    count: int = 1
    wants_last_term: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call to a worker computes: segments of one job, or of several small ones."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What a worker really did for one segment, counted there and never copied from the request."""

    num_terms: int
    """Terms generated, summed over the ``count`` sequences."""
    count: int
    verified: bool
    """Whether every end pair equalled fast doubling's: another algorithm, exact."""
    compute_seconds: float
    last_term: LastTerm | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The answer of one call to a worker; durations by the worker's own clock."""

    worker_id: str
    node_id: str
    segments: tuple[SegmentResult, ...]
    queued_seconds: float
    """Time on the worker that was not computing: waiting for its one compute thread."""
    cpu_seconds: float
    """CPU time of the compute thread: less than the time of computing where others use the core too."""


RunBatch = Callable[[str, Batch], Coroutine[Any, Any, BatchResult]]
"""Runs a batch on the worker of that id: the seam between the dispatcher and whoever has workers.

Raises ``app.errors.WorkerLostError`` when the worker died or left. Cancelling it stops the work.
"""


@dataclass(slots=True)
class BatchRecord:
    """One batch's part in one job. Times are seconds since the job's acceptance, by the ingress's clock."""

    worker_id: str
    node_id: str
    num_terms: int
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
    """Summed over the job's parts of all batches."""
    num_workers: int
    num_batches: int
    predicted_compute_seconds: float

    @property
    def parallelism(self) -> float:
        """Mean number of busy workers: compute over total."""
        return self.compute_seconds / self.total_seconds if self.total_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class JobResult:
    """A finished job: every term counted once, and every segment's end pair checked.

    A late batch may have been computed twice; only the first result is in it.
    """

    job: Job
    sizes: list[int]
    last_term: LastTerm | None
    num_segments: int
    num_recomputed: int
    timing: Timing
    batches: list[BatchRecord]
    """The first 1,000 dispatched."""

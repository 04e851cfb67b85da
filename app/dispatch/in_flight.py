"""The batches that are on workers, and which of them should be back by now."""

import asyncio
from collections.abc import Iterator

from app.dispatch.pool import Worker
from app.job import Batch, BatchResult
from app.observer import BatchOutcome, EndedBatch, RunningBatch
from app.queue.lanes import Lane
from app.queue.live_job import LiveJob, Piece

LATE_SECONDS = 2.0
LATE_FACTOR = 4.0
"""A batch is late after ``LATE_SECONDS`` and so many times the predicted seconds of what its worker has to compute
until then. That allows for other ingresses' batches and for a wrong prediction, since a late one is computed twice."""
LATE_FACTOR_AN_INGRESS = 2.0
"""The same for each ingress, where there are many: each may have as much on the worker, which is first come, first
served. With eight and a factor of 4, a quarter of the batches to a thousand simulated workers were second copies."""


class Flight:
    """A batch on a worker."""

    __slots__ = ("attempts", "batch", "dispatched_at", "due_at", "lane", "late", "pieces", "seconds", "task", "worker")

    def __init__(
        self,
        worker: Worker,
        pieces: list[Piece],
        batch: Batch,
        task: asyncio.Task[BatchResult],
        now: float,
        *,
        num_ingresses: int = 1,
    ) -> None:
        self.worker = worker
        self.pieces = pieces
        self.batch = batch
        self.task = task
        self.dispatched_at = now
        self.seconds = sum(piece.seconds for piece in pieces)
        self.lane = pieces[0].lane
        self.attempts = pieces[0].used_attempts + 1
        """Of the first piece, this one included."""
        # An express batch is computed before the others on the worker.
        ahead_seconds = self.seconds + (0.0 if self.lane is Lane.EXPRESS else worker.predicted_seconds)
        factor = max(LATE_FACTOR, LATE_FACTOR_AN_INGRESS * num_ingresses)
        self.due_at = now + LATE_SECONDS + factor * ahead_seconds
        self.late = False
        """Its pieces have been sent again, elsewhere; the first to come back counts."""

    @property
    def wanted(self) -> bool:
        """Whether any part of it is still needed."""
        return any(piece.wanted for piece in self.pieces)

    @property
    def running(self) -> RunningBatch:
        """The batch while it is on its worker."""
        first = self.pieces[0]
        return RunningBatch(
            self.worker.worker_id, first.live_job.job, len(self.pieces), first.num_units,
            self.attempts, self.dispatched_at, self.seconds, self.late,
        )  # fmt: skip

    def ended(self, outcome: BatchOutcome, result: BatchResult | None, now: float) -> EndedBatch:
        """The batch once it has left its worker."""
        first = self.pieces[0]
        node_id, queued, compute, cpu = "", 0.0, 0.0, 0.0
        if result is not None:
            node_id, queued, cpu = result.node_id, result.queued_seconds, result.cpu_seconds
            compute = sum(done.compute_seconds for done in result.segments)
        return EndedBatch(
            self.worker.worker_id, node_id, first.live_job.job, len(self.pieces), first.num_units,
            self.batch.num_units, self.attempts, outcome, self.dispatched_at, now, self.seconds, queued, compute, cpu,
        )  # fmt: skip


class Flights:
    """All batches on workers."""

    def __init__(self) -> None:
        self._flights: dict[Flight, None] = {}
        self.num_express = 0
        """Express batches that are not late: what is late is computed elsewhere, and may never come back."""

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._flights)

    def add(self, flight: Flight) -> None:
        """A batch was sent."""
        self._flights[flight] = None
        self.num_express += flight.lane is Lane.EXPRESS

    def remove(self, flight: Flight) -> None:
        """A batch has ended."""
        del self._flights[flight]
        self.num_express -= flight.lane is Lane.EXPRESS and not flight.late

    def overdue(self, now: float) -> list[Flight]:
        """The batches that should be back by now and are not known to be late."""
        return [flight for flight in self._flights if now > flight.due_at and not flight.late]

    def give_up(self, flights: list[Flight]) -> None:
        """From now on they are late."""
        for flight in flights:
            flight.late = True
            self.num_express -= flight.lane is Lane.EXPRESS

    def not_computed(self, live_job: LiveJob, now: float) -> list[tuple[Piece, float]]:
        """The job's pieces on workers, with the predicted seconds of each that cannot have been computed yet."""
        return [
            (piece, max(0.0, piece.seconds - (now - flight.dispatched_at)))
            for flight in self._flights
            for piece in flight.pieces
            if piece.live_job is live_job and not flight.late
        ]

    def postpone(self, seconds: float) -> None:
        """Move every due time: for so long nothing could come back, because the ingress itself stood still."""
        for flight in self._flights:
            flight.due_at += seconds

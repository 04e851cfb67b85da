"""The batches that are on workers, and which of them should be back by now."""

import asyncio
from collections.abc import Iterator

from app.job import Batch, BatchResult, Execution, Job
from app.pool import Worker
from app.progress import Piece, Progress

SHORT_SECONDS = 0.010
"""Predicted seconds of a short batch, about a worker's slice. It has a place on a worker beside the long ones, so
that it need not wait for them."""
LONG_SECONDS = 1.0
"""Predicted seconds beyond which a local job, which cannot be cut, is a long batch: it must not hold up others."""
LATE_SECONDS = 2.0
LATE_FACTOR = 4.0
"""A batch is late after ``LATE_SECONDS`` and so many times the predicted seconds of what its worker has to compute
until then: room for other ingresses' batches and for a wrong prediction, since a late one is computed twice."""
LATE_FACTOR_AN_INGRESS = 2.0
"""The same where there are many ingresses: each may have as much on the worker, and it is computed first come, first
served. With eight and a factor of 4, a quarter of the batches to a thousand simulated workers were second copies."""
PROBE_SECONDS = 0.5


def is_long(job: Job, seconds: float) -> bool:
    """Whether a batch of ``job`` that is predicted to take ``seconds`` is a long one."""
    return job.execution is Execution.LOCAL and seconds > LONG_SECONDS


class Flight:
    """A batch on a worker."""

    __slots__ = ("batch", "dispatched_at", "due_at", "late", "long", "pieces", "seconds", "short", "task", "worker")

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
        self.short = self.seconds <= SHORT_SECONDS
        self.long = is_long(pieces[0].progress.job, self.seconds)
        # A short one is computed before the long ones there.
        ahead_seconds = self.seconds if self.short else self.seconds + worker.predicted_seconds
        factor = max(LATE_FACTOR, LATE_FACTOR_AN_INGRESS * num_ingresses)
        self.due_at = now + LATE_SECONDS + factor * ahead_seconds
        self.late = False
        """Its pieces have been sent again, elsewhere; the first to come back counts."""

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for a part of it."""
        return any(piece.wanted for piece in self.pieces)

    @property
    def unwanted(self) -> bool:
        """Whether it had better be stopped. Not if it is late and not long: when it is back, its worker is."""
        return not self.wanted and not (self.late and self.seconds <= PROBE_SECONDS)


class Flights:
    """All batches on workers, with what the scheduler asks of them kept as sums.

    The sums leave out what is late: it is computed elsewhere, and may never come back.
    """

    def __init__(self) -> None:
        self._flights: set[Flight] = set()
        self.num_short = 0
        self.seconds = 0.0
        """Predicted."""

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._flights)

    def add(self, flight: Flight) -> None:
        """A batch was sent."""
        self._flights.add(flight)
        self.num_short += flight.short
        self.seconds += flight.seconds

    def remove(self, flight: Flight) -> None:
        """A batch is over."""
        self._flights.remove(flight)
        if not flight.late:
            self._leave_out(flight)
        if not self._flights:
            self.seconds = 0.0  # or rounding would add up

    def newly_late(self, now: float) -> list[Flight]:
        """Those that are late, each once."""
        late = [flight for flight in self._flights if now > flight.due_at and not flight.late]
        for flight in late:
            flight.late = True
            self._leave_out(flight)
        return late

    def not_computed_seconds(self, progress: Progress, now: float) -> float:
        """Predicted seconds of the job's batches on workers that cannot have been computed yet."""
        return sum(
            max(0.0, piece.seconds - (now - flight.dispatched_at))
            for flight in self._flights
            for piece in flight.pieces
            if piece.progress is progress and not flight.late
        )

    def postpone(self, seconds: float) -> None:
        """Nothing could come back for so long, because it was the ingress that stood still."""
        for flight in self._flights:
            flight.due_at += seconds

    def _leave_out(self, flight: Flight) -> None:
        self.num_short -= flight.short
        self.seconds -= flight.seconds

"""What comes of a batch for the jobs in it: its pieces are done, computed again, or their job has failed."""

import itertools
import logging
from collections.abc import Callable

from app.dispatch.in_flight import Flight
from app.dispatch.retries import Retries
from app.errors import ComputationError, WorkerLostError
from app.job import BatchResult
from app.observer import BatchOutcome, Observer, RetryCause
from app.queue.cost import CostModel
from app.queue.ledger import Ledger

MAX_ATTEMPTS = 3
"""Workers a piece may lose before its job fails: a poison job must not walk through the pool."""
MAX_BACKGROUND_ATTEMPTS = 10
"""The same for a durable job: over hours, its pieces meet with more workers that die for reasons of their own."""
MAX_FAILED_CHECKS = 2

logger = logging.getLogger("ray.serve")  # as in app.http.problems


class Outcomes:
    """Settles batches that have left their worker."""

    def __init__(
        self,
        cost: CostModel,
        ledger: Ledger,
        retries: Retries,
        clock: Callable[[], float],
        *,
        observer: Observer,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._cost = cost
        self._ledger = ledger
        self._retries = retries
        self._clock = clock
        self._observer = observer
        self._max_attempts = max_attempts

    def returned(self, flight: Flight, result: BatchResult) -> BatchOutcome:
        """Give each job what was computed for it; send again what was wrong."""
        now = self._clock()
        outcome = BatchOutcome.LATE if flight.late else BatchOutcome.OK
        compute_seconds = sum(done.compute_seconds for done in result.segments)
        self._cost.observe(flight.batch.segments, compute_seconds, result.cpu_seconds)
        results = iter(result.segments)
        for piece in flight.pieces:
            live_job = piece.live_job
            mine = list(itertools.islice(results, len(piece.segments)))
            if not piece.wanted:
                continue
            live_job.out_seconds -= piece.seconds
            try:
                again = live_job.returned(piece, result, mine, flight.dispatched_at, now)
            except ComputationError as failure:  # the kernel's
                live_job.fail(failure)
                outcome = BatchOutcome.FAILED
                continue
            for new in again:
                new.seconds = self._cost.batch_seconds(new.segments)
                live_job.out_seconds += new.seconds
            self._ledger.settle(live_job)
            for new in again:
                what = "workers disagree: %s" if new.is_referee else "a segment failed its check on worker %s"
                logger.error(what, " and ".join(new.shunned))
                if new.failed_checks >= MAX_FAILED_CHECKS:
                    live_job.fail(ComputationError("a segment failed its check twice"))
                self._retries.add(new)
                self._observer.retried(RetryCause.WRONG)
                outcome = BatchOutcome.WRONG
        return outcome

    def lost(self, flight: Flight, error: BaseException) -> BatchOutcome:
        """Send its pieces again, each alone: a poison job fails alone."""
        is_lost = isinstance(error, WorkerLostError)
        what = "was lost with" if is_lost else "failed on"
        logger.warning("a batch %s worker %s: %r", what, flight.worker.worker_id, error)
        was_running = not isinstance(error, WorkerLostError) or error.was_running
        cause = RetryCause.LOST if is_lost else RetryCause.FAILED
        for piece in flight.pieces:
            if not piece.wanted:
                continue
            piece.used_attempts += was_running
            if was_running and piece.used_attempts >= self._max_attempts:
                failure = ComputationError(f"failed on {self._max_attempts} workers")
                failure.__cause__ = error
                piece.live_job.fail(failure)
            elif not flight.late:  # else it has been sent again already
                piece.shunned = (flight.worker.worker_id,)
                self._retries.add(piece)
                self._observer.retried(cause)
        return BatchOutcome.LOST if is_lost else BatchOutcome.FAILED

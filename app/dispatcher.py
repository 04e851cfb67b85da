"""Decides whose work goes to the pool next and how much of it: the fair queue in front of the workers.

Plain asyncio over ``RunBatch``; it does not know who runs a batch. Every rule below holds for one
dispatcher; several ingress replicas have one each, and workers take turns among their batches.
"""

import asyncio
import contextvars
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

from app.backlog import Backlog
from app.cost import CostModel, work_of_segments
from app.errors import (
    ComputationError,
    DeadlineError,
    DrainingError,
    JobError,
    NoWorkerError,
    WorkerLostError,
)
from app.flights import SHORT_SECONDS, Flight, Flights
from app.job import Batch, BatchResult, Job, JobResult, RunBatch
from app.line import Line
from app.outage import Outage
from app.pool import MAX_IN_FLIGHT, MAX_IN_FLIGHT_EXPRESS, Pool, Worker
from app.progress import Piece, Progress
from app.settings import Settings
from app.waiting import WaitingJobs
from app.watch import Watch

MAX_ATTEMPTS = 3
"""Workers a batch may lose before its job fails: a poison job must not walk through the pool."""
MAX_FAILED_CHECKS = 2
SUSPENSION_SECONDS = 5.0
"""How long a worker that lost a batch gets no other, unless Serve says before that it is gone."""

logger = logging.getLogger(__name__)


class Dispatcher:
    """Runs jobs on the workers named by ``set_workers``; call it from one event loop only."""

    def __init__(
        self,
        run_batch: RunBatch,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.perf_counter,
        cost: CostModel | None = None,
        num_ingresses: int = 1,
    ) -> None:
        """``num_ingresses``: dispatchers that share the workers, this one included."""
        self._run_batch = run_batch
        self._settings = settings or Settings()
        self._clock = clock
        self._num_ingresses = num_ingresses
        self.cost = cost or CostModel()
        self._pool = Pool()
        self._waiting = WaitingJobs(self._settings, self.cost)
        self._retries: deque[Piece] = deque()
        self._backlog = Backlog(self._settings)
        self._flights = Flights()
        self._watch = Watch(self._flights, clock, self._send_again)
        self._outage = Outage(self._settings.worker_wait_seconds, clock, self._give_up_waiting)
        self._numbers = itertools.count()
        self.draining = False

    # What there is to see

    @property
    def num_workers(self) -> int:
        """Workers in the pool."""
        return len(self._pool)

    @property
    def num_queued_jobs(self) -> int:
        """Jobs with terms that no worker has been given yet."""
        return len(self._waiting)

    @property
    def num_unfinished_jobs(self) -> int:
        """Jobs admitted and not yet answered."""
        return len(self._backlog)

    @property
    def drain_seconds(self) -> float:
        """Predicted seconds until everything admitted is computed, by the workers there are."""
        return self._backlog.seconds / max(1, len(self._pool))

    # Workers

    def set_workers(self, worker_ids: Iterable[str]) -> None:
        """Say which workers there are now; a new one is used at once."""
        self._pool.set_members(worker_ids)
        self._watch_for_workers()
        self._pump()

    def _watch_for_workers(self) -> None:
        self._outage.note(any_worker=self._pool.any_usable)

    def _give_up_waiting(self) -> None:
        for progress in list(self._backlog):
            _fail(progress, NoWorkerError(self._settings.worker_wait_seconds))

    # Jobs

    async def run(self, *jobs: Job, timeout_seconds: float | None = None) -> list[JobResult]:
        """Run the jobs one after another, under one admission and one deadline.

        Cancelling it takes the jobs out of the queue and stops their batches on the workers.

        Raises a ``RefusedError`` before anything is computed; later
        ``NoWorkerError``, ``DeadlineError`` or ``ComputationError``.
        """
        timeout_seconds = timeout_seconds or self._settings.max_timeout_seconds
        admitted = self._admit(jobs)
        results = []
        try:
            async with asyncio.timeout(timeout_seconds):
                for progress in admitted:
                    progress.accepted_at = self._clock()
                    self._waiting.add(progress)
                    self._pump()
                    results.append(await progress.finished)
        except TimeoutError:
            raise DeadlineError(timeout_seconds) from None
        finally:
            for progress in admitted:
                self._forget(progress)
        return results

    def _admit(self, jobs: Iterable[Job]) -> list[Progress]:
        if self.draining:
            raise DrainingError
        self._watch_for_workers()
        if self._outage.lasts_too_long:
            raise NoWorkerError(self._settings.worker_wait_seconds)
        now = self._clock()
        admitted = [Progress(next(self._numbers), job, Line(job, self.cost), now) for job in jobs]
        self._backlog.admit(admitted, self.num_workers)
        return admitted

    def _forget(self, progress: Progress) -> None:
        """The job is over, however it ended: leave the queue, stop what only it was waiting for."""
        self._backlog.remove(progress)
        self._waiting.remove(progress)
        if not progress.succeeded:
            progress.finished.cancel()
            self._stop_unwanted()

    def _stop_unwanted(self) -> None:
        for flight in self._flights:
            if flight.unwanted:
                flight.task.cancel()

    # Dispatching

    def _pump(self) -> None:
        """Send batches while there is work and a worker with room; what was lost goes first."""
        while self._retries:
            piece = self._retries[0]
            if piece.wanted:
                worker = self._pool.for_retry(piece.shunned_worker_id)
                if worker is None:
                    break
                self._send(worker, [piece])
            self._retries.popleft()
        while (progress := self._waiting.peek()) is not None:
            short = progress.line.remaining_seconds <= SHORT_SECONDS
            if short and self._short_lane_closed():
                return
            worker = self._pool.with_room(MAX_IN_FLIGHT_EXPRESS if short else MAX_IN_FLIGHT)
            if worker is None:
                return
            self._send(worker, self._waiting.cut_batch(progress, len(self._pool)))

    def _short_lane_closed(self) -> bool:
        """Whether small jobs had better gather: every worker may have a short batch, and no full one is waiting."""
        waiting_seconds = self._backlog.seconds - self._flights.seconds
        return self._flights.num_short >= len(self._pool) and waiting_seconds < SHORT_SECONDS

    def _send(self, worker: Worker, pieces: list[Piece]) -> None:
        batch = Batch(tuple(segment for piece in pieces for segment in piece.segments))
        # In an empty context: a batch belongs to nobody's request, or Serve would cancel it together
        # with the request that happened to send it, under the other jobs that ride in it.
        task = asyncio.get_running_loop().create_task(
            self._run_batch(worker.worker_id, batch), context=contextvars.Context()
        )
        now = self._clock()
        flight = Flight(worker, pieces, batch, task, now, num_ingresses=self._num_ingresses)
        self._flights.add(flight)
        self._pool.occupy(worker, flight.seconds)
        self._watch.start()
        for piece in pieces:
            piece.progress.dispatched(piece, worker.worker_id, now)
        task.add_done_callback(lambda _: self._landed(flight), context=contextvars.Context())

    def _landed(self, flight: Flight) -> None:
        """A batch is over: it came back, was lost, or was cancelled (perhaps before it was sent)."""
        self._flights.remove(flight)
        self._pool.release(flight.worker, flight.seconds)
        if flight.task.cancelled():
            if flight.wanted:  # it was not us who cancelled it
                self._retry(flight, asyncio.CancelledError())
        elif (error := flight.task.exception()) is not None:
            if isinstance(error, WorkerLostError):
                self._suspend(flight.worker)
            self._retry(flight, error)
        elif len(flight.task.result().segments) != len(flight.batch.segments):
            self._retry(flight, ValueError("a result without some of its segments"))
        else:
            self._returned(flight, flight.task.result())
        self._pump()

    def _returned(self, flight: Flight, result: BatchResult) -> None:
        now = self._clock()
        if flight.worker.suspended:
            self._resume(flight.worker)
        compute_seconds = sum(done.compute_seconds for done in result.segments)
        self.cost.observe(work_of_segments(flight.batch.segments), compute_seconds)
        results = iter(result.segments)
        for piece in flight.pieces:
            progress = piece.progress
            mine = list(itertools.islice(results, len(piece.segments)))
            if not piece.wanted:
                continue
            progress.out_seconds -= piece.seconds
            again = progress.returned(piece, result, mine, flight.dispatched_at, now)
            for wrong in again:
                wrong.seconds = self.cost.seconds(work_of_segments(wrong.segments))
                progress.out_seconds += wrong.seconds
            self._backlog.settle(progress)
            for wrong in again:
                logger.error("a segment failed its check on worker %s", result.worker_id)
                if wrong.failed_checks >= MAX_FAILED_CHECKS:
                    _fail(progress, ComputationError("a segment failed its check twice"))
                self._retries.append(wrong)
        if any(piece.late for piece in flight.pieces):
            self._stop_unwanted()

    def _retry(self, flight: Flight, error: BaseException) -> None:
        """Send the pieces of a lost batch again, each alone: a poison job fails alone."""
        logger.warning("a batch was lost with worker %s: %r", flight.worker.worker_id, error)
        was_running = not isinstance(error, WorkerLostError) or error.was_running
        if flight.late:
            return  # they have been sent again already
        for piece in flight.pieces:
            piece.shunned_worker_id = flight.worker.worker_id
            piece.attempts -= not was_running
            if piece.attempts >= MAX_ATTEMPTS:
                failure = ComputationError(f"failed on {MAX_ATTEMPTS} workers")
                failure.__cause__ = error
                _fail(piece.progress, failure)
            self._retries.append(piece)

    def _send_again(self, late: list[Flight]) -> None:
        """Compute elsewhere what should be back by now: its worker stands still, or cannot be reached."""
        for flight in late:
            logger.warning("a batch is late on worker %s: computing it elsewhere", flight.worker.worker_id)
            self._suspend(flight.worker)
            for piece in flight.pieces:
                piece.late = True
                piece.attempts -= 1
                piece.shunned_worker_id = flight.worker.worker_id
                self._retries.append(piece)
        if self._retries:
            self._pump()

    def _suspend(self, worker: Worker) -> None:
        self._pool.suspend(worker)
        self._watch_for_workers()
        self._resume_later(worker)

    def _resume_later(self, worker: Worker) -> None:
        asyncio.get_running_loop().call_later(
            SUSPENSION_SECONDS, self._end_suspension, worker, context=contextvars.Context()
        )

    def _end_suspension(self, worker: Worker) -> None:
        if not worker.suspended:
            return
        if worker.in_flight:  # what is there will tell that it lives, or that it does not
            self._resume_later(worker)
        else:
            self._resume(worker)

    def _resume(self, worker: Worker) -> None:
        self._pool.resume(worker)
        self._watch_for_workers()
        self._pump()


def _fail(progress: Progress, error: JobError) -> None:
    if progress.alive:
        progress.finished.set_exception(error)

"""Keeps the workers busy with what waits, and sends again what they lose: batches out, results back.

Plain asyncio over ``RunBatch``; it does not know who runs a batch.
"""

import asyncio
import contextvars
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable

from app.backlog import Backlog
from app.cost import CostModel, work_of_segments
from app.errors import ComputationError, NoWorkerError, WorkerLostError
from app.flights import SHORT_SECONDS, Flight, Flights
from app.job import Batch, BatchResult, RunBatch
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

logger = logging.getLogger("ray.serve")  # as in app.problems


class Scheduler:
    """Sends batches of the waiting jobs to the workers named by ``set_workers``."""

    def __init__(
        self,
        run_batch: RunBatch,
        settings: Settings,
        clock: Callable[[], float],
        cost: CostModel,
        *,
        backlog: Backlog,
        num_ingresses: int,
    ) -> None:
        """``num_ingresses``: those that share the workers, this one included."""
        self._run_batch = run_batch
        self._settings = settings
        self._clock = clock
        self._cost = cost
        self._backlog = backlog
        self._num_ingresses = num_ingresses
        self._pool = Pool()
        self._waiting = WaitingJobs(settings, cost)
        self._retries: deque[Piece] = deque()
        self._suspensions: dict[Worker, asyncio.TimerHandle] = {}
        self._flights = Flights()
        self._watch = Watch(self._flights, clock, self._look_at)
        self._outage = Outage(settings.worker_wait_seconds, clock, self._give_up_waiting)

    @property
    def num_workers(self) -> int:
        return len(self._pool)

    @property
    def num_waiting(self) -> int:
        """Jobs with terms that no worker has been given yet."""
        return len(self._waiting)

    def set_workers(self, worker_ids: Iterable[str]) -> None:
        """Say which workers there are now; a new one is used at once."""
        self._pool.set_members(worker_ids)
        self._note_outage()
        self._pump()

    def check_workers(self) -> None:
        """Raise ``NoWorkerError`` if there has been no worker for too long."""
        self._note_outage()
        if self._outage.lasts_too_long:
            raise NoWorkerError(self._settings.worker_wait_seconds)

    def start(self, progress: Progress) -> None:
        """Let an admitted job take part."""
        self._waiting.add(progress)
        self._pump()

    def end(self, progress: Progress) -> None:
        """The job is over, however it ended: forget what waits of it, stop what only it was waiting for."""
        self._waiting.remove(progress)
        if not progress.succeeded:
            self._stop_unwanted()

    def _note_outage(self) -> None:
        self._outage.note(any_worker=self._pool.any_usable)

    def _give_up_waiting(self) -> None:
        for progress in list(self._backlog):
            progress.fail(NoWorkerError(self._settings.worker_wait_seconds))

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
        """Whether small jobs had better gather: no worker is idle, each may have a short batch, no full one waits."""
        if self._flights.num_short < len(self._pool) or self._pool.with_room(1) is not None:
            return False
        return self._backlog.seconds - self._flights.seconds < SHORT_SECONDS

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
        compute_seconds = sum(done.compute_seconds for done in result.segments)
        self._cost.observe(work_of_segments(flight.batch.segments), compute_seconds, result.cpu_seconds)
        results = iter(result.segments)
        for piece in flight.pieces:
            progress = piece.progress
            mine = list(itertools.islice(results, len(piece.segments)))
            if not piece.wanted:
                continue
            progress.out_seconds -= piece.seconds
            again = progress.returned(piece, result, mine, flight.dispatched_at, now)
            for wrong in again:
                wrong.seconds = self._cost.seconds(work_of_segments(wrong.segments))
                progress.out_seconds += wrong.seconds
            self._backlog.settle(progress)
            for wrong in again:
                logger.error("a segment failed its check on worker %s", result.worker_id)
                if wrong.failed_checks >= MAX_FAILED_CHECKS:
                    progress.fail(ComputationError("a segment failed its check twice"))
                self._retries.append(wrong)
        if flight.worker.suspended:
            self._resume(flight.worker)  # not before: it would be sent again what it has just returned
        if any(piece.late for piece in flight.pieces):
            self._stop_unwanted()

    def _retry(self, flight: Flight, error: BaseException) -> None:
        """Send the pieces of a lost batch again, each alone: a poison job fails alone."""
        logger.warning("a batch was lost with worker %s: %r", flight.worker.worker_id, error)
        if flight.late:
            return  # they have been sent again already
        was_running = not isinstance(error, WorkerLostError) or error.was_running
        for piece in flight.pieces:
            piece.shunned_worker_id = flight.worker.worker_id
            piece.used_attempts += was_running
            if piece.used_attempts >= MAX_ATTEMPTS:
                failure = ComputationError(f"failed on {MAX_ATTEMPTS} workers")
                failure.__cause__ = error
                piece.progress.fail(failure)
            self._retries.append(piece)

    def _look_at(self, late: list[Flight]) -> None:
        """Compute elsewhere what should be back by now: its worker stands still, or cannot be reached."""
        for flight in late:
            logger.warning("a batch is late on worker %s: computing it elsewhere", flight.worker.worker_id)
            self._suspend(flight.worker)
            for piece in flight.pieces:
                piece.late = True
                piece.shunned_worker_id = flight.worker.worker_id
                self._retries.append(piece)
        if self._retries:
            self._pump()

    def _stop_unwanted(self) -> None:
        for flight in self._flights:
            if flight.unwanted:
                flight.task.cancel()

    def _suspend(self, worker: Worker) -> None:
        self._pool.suspend(worker)
        self._note_outage()
        self._resume_later(worker)

    def _resume_later(self, worker: Worker) -> None:
        if (timer := self._suspensions.get(worker)) is not None:
            timer.cancel()
        self._suspensions[worker] = asyncio.get_running_loop().call_later(
            SUSPENSION_SECONDS, self._end_suspension, worker, context=contextvars.Context()
        )

    def _end_suspension(self, worker: Worker) -> None:
        if worker.in_flight:  # what is there will tell that it lives, or that it does not
            self._resume_later(worker)
        else:
            self._resume(worker)

    def _resume(self, worker: Worker) -> None:
        self._suspensions.pop(worker).cancel()
        self._pool.resume(worker)
        self._note_outage()
        self._pump()

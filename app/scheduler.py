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
from app.flights import SHORT_SECONDS, Flight, Flights, is_long
from app.job import Batch, BatchResult, RunBatch
from app.outage import Outage
from app.pool import MAX_IN_FLIGHT, MAX_IN_FLIGHT_EXPRESS, RESERVE_SECONDS, Pool, Worker
from app.progress import Piece, Progress
from app.settings import Settings
from app.suspensions import Suspensions
from app.waiting import WaitingJobs
from app.watch import Watch

MAX_ATTEMPTS = 3
"""Workers a batch may lose before its job fails: a poison job must not walk through the pool."""
MAX_FAILED_CHECKS = 2

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
        self._suspensions = Suspensions(self._pool, run_batch, self._pool_changed)
        self._flights = Flights()
        self._watch = Watch(self._flights, clock, self._look_at)
        self._outage = Outage(settings.worker_wait_seconds, clock, self._give_up_waiting)
        self.usual_num_workers = 0
        """As many as there are, or were when there were any: replacements are on their way."""

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
        self.usual_num_workers = len(self._pool) or self.usual_num_workers
        self._pool_changed()

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
            self._waiting.refund(progress, self._flights.not_computed_seconds(progress, self._clock()))
            self._stop_unwanted()

    def _pool_changed(self) -> None:
        self._note_outage()
        self._pump()

    def _note_outage(self) -> None:
        self._outage.note(any_worker=self._pool.any_usable)

    def _give_up_waiting(self) -> None:
        for progress in list(self._backlog):
            progress.fail(NoWorkerError(self._settings.worker_wait_seconds))

    def _pump(self) -> None:
        """Send batches while there is work and a worker with room; what was lost goes first."""
        self._send_retries()
        if self._pool.with_room(0, long=True) is not None:
            self._waiting.bring_back()
        while (progress := self._waiting.peek()) is not None:
            seconds = progress.line.remaining_seconds
            short = seconds <= SHORT_SECONDS
            if short and self._short_lane_closed():
                return
            long = is_long(progress.job, seconds)
            worker = self._pool.with_room(MAX_IN_FLIGHT_EXPRESS if short else MAX_IN_FLIGHT, long=long)
            if worker is not None:
                self._send(worker, self._waiting.cut_batch(progress, len(self._pool)))
            elif long:
                self._waiting.set_aside(progress)  # the others need not wait until there is room for it
            else:
                return

    def _send_retries(self) -> None:
        """In their order, but for those of which every live worker has a copy already."""
        blocked: deque[Piece] = deque()
        while self._retries:
            piece = self._retries.popleft()
            if not piece.wanted:
                continue
            long = is_long(piece.progress.job, piece.seconds)
            worker = self._pool.for_retry(piece.shunned_worker_id, piece.worker_ids, long=long)
            if worker is not None:
                self._send(worker, [piece])
                if worker.reserved:
                    self._share_later(worker)
            else:
                blocked.append(piece)
                if not piece.worker_ids:
                    break
        self._retries.extendleft(reversed(blocked))

    def _share_later(self, worker: Worker) -> None:
        """What kills its worker does so soon; a job of minutes must not have a worker to itself until it is done."""
        asyncio.get_running_loop().call_later(
            RESERVE_SECONDS, self._share, worker, worker.reservation, context=contextvars.Context()
        )

    def _share(self, worker: Worker, reservation: int) -> None:
        if worker.reserved and worker.reservation == reservation:
            self._pool.share(worker)
            self._pump()

    def _short_lane_closed(self) -> bool:
        """Whether small jobs had better gather: no worker is idle, each may have a short batch, no full one waits."""
        if self._flights.num_short < len(self._pool) or self._pool.any_idle:
            return False
        waiting_seconds = self._backlog.seconds - self._flights.seconds
        return waiting_seconds < SHORT_SECONDS

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
        self._pool.occupy(worker, flight.seconds, long=flight.long)
        self._watch.start()
        for piece in pieces:
            piece.worker_ids.append(worker.worker_id)
            piece.progress.dispatched(piece, worker.worker_id, now)
        task.add_done_callback(lambda _: self._landed(flight), context=contextvars.Context())

    def _landed(self, flight: Flight) -> None:
        """A batch is over: it came back, was lost, or was cancelled (perhaps before it was sent)."""
        self._flights.remove(flight)
        self._pool.release(flight.worker, flight.seconds, long=flight.long)
        for piece in flight.pieces:
            piece.worker_ids.remove(flight.worker.worker_id)
        if flight.task.cancelled():
            if flight.wanted:  # it was not us who cancelled it
                self._retry(flight, asyncio.CancelledError())
        elif (error := flight.task.exception()) is not None:
            if isinstance(error, WorkerLostError):
                self._suspensions.suspend(flight.worker, lost=True)
                self._note_outage()
            else:
                self._suspensions.end(flight.worker)  # its code raised: it lives
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
        self._suspensions.end(flight.worker)  # not before: it would be sent again what it has just returned
        if any(piece.late for piece in flight.pieces):
            self._stop_unwanted()

    def _retry(self, flight: Flight, error: BaseException) -> None:
        """Send the pieces of a lost batch again, each alone: a poison job fails alone."""
        logger.warning("a batch was lost with worker %s: %r", flight.worker.worker_id, error)
        was_running = not isinstance(error, WorkerLostError) or error.was_running
        for piece in flight.pieces:
            if not piece.wanted:
                continue
            piece.used_attempts += was_running
            if was_running and piece.used_attempts >= MAX_ATTEMPTS:
                failure = ComputationError(f"failed on {MAX_ATTEMPTS} workers")
                failure.__cause__ = error
                piece.progress.fail(failure)
            elif not flight.late:  # else it has been sent again already
                piece.shunned_worker_id = flight.worker.worker_id
                self._retries.append(piece)

    def _look_at(self, late: list[Flight]) -> None:
        """Compute elsewhere what should be back by now: its worker stands still, or cannot be reached."""
        for flight in late:
            logger.warning("a batch is late on worker %s: computing it elsewhere", flight.worker.worker_id)
            self._suspensions.suspend(flight.worker, lost=False)
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

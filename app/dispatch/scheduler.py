"""Sends waiting work to the workers, collects results, and sends again what a lost worker had.

Plain asyncio over ``RunBatch``; it does not know who runs a batch.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable

from app.dispatch.in_flight import LATE_SECONDS, Flight, Flights
from app.dispatch.liveness import Liveness
from app.dispatch.outcomes import MAX_ATTEMPTS, MAX_BACKGROUND_ATTEMPTS, Outcomes
from app.dispatch.pool import Pool, Worker
from app.dispatch.retries import ALONE_SECONDS, Retries
from app.dispatch.watch import Watch
from app.errors import NoWorkerError, WorkerLostError
from app.job import Batch, BatchResult, RunBatch
from app.observer import BatchOutcome, Observer, RetryCause, RunningBatch
from app.queue.cost import CostModel
from app.queue.lanes import GATHERED_SECONDS, LONGEST_FIRST, Lane
from app.queue.ledger import Ledger
from app.queue.live_job import LiveJob, Piece
from app.queue.waiting import WaitingJobs
from app.settings import Settings

logger = logging.getLogger("ray.serve")  # as in app.http.problems


class Scheduler:
    """Sends batches of the waiting jobs to the workers named by ``set_workers``."""

    def __init__(
        self,
        run_batch: RunBatch,
        settings: Settings,
        clock: Callable[[], float],
        cost: CostModel,
        *,
        ledger: Ledger,
        num_ingresses: int,
        observer: Observer,
        background: bool = False,
    ) -> None:
        """``num_ingresses``: those that share the workers, this one included. ``background``: whether all batches of
        others come before its own on a worker."""
        self._observer = observer
        self._run_batch = run_batch
        self._settings = settings
        self._clock = clock
        self._cost = cost
        self._ledger = ledger
        self._num_ingresses = num_ingresses
        self._background = background
        self._pool = Pool()
        self._waiting = WaitingJobs(settings, cost)
        self._flights = Flights()
        self._watch = Watch(clock, self._look)
        self._liveness = Liveness(
            self._pool, self._call, clock,
            max_outage_seconds=settings.worker_wait_seconds, on_question=self._watch.start, on_answer=self._pump,
        )  # fmt: skip
        self._retries = Retries(self._pool, self._liveness.ask)
        max_attempts = MAX_BACKGROUND_ATTEMPTS if background else MAX_ATTEMPTS
        self._outcomes = Outcomes(cost, ledger, self._retries, clock, observer=observer, max_attempts=max_attempts)
        self.usual_num_workers = 0
        """As many as there are or, if there are none, as there last were: replacements are on their way."""

    @property
    def num_workers(self) -> int:
        return len(self._pool)

    @property
    def num_waiting(self) -> int:
        """Jobs of which a part has not been given to any worker."""
        return len(self._waiting)

    @property
    def running(self) -> list[RunningBatch]:
        """The batches on workers; those that only ask whether a worker is alive do not count."""
        return [flight.running for flight in self._flights]

    def set_workers(self, worker_ids: Iterable[str]) -> None:
        """Say which workers there are now; a new one is used at once."""
        self._pool.set_members(worker_ids)
        self.usual_num_workers = len(self._pool) or self.usual_num_workers
        self._liveness.note()
        self._pump()

    def check_workers(self) -> None:
        """Raise ``NoWorkerError`` if for too long no worker has been known to be alive."""
        if self._liveness.none_for_too_long(self._clock()):
            raise NoWorkerError(self._settings.worker_wait_seconds)

    def start(self, live_job: LiveJob) -> None:
        """Let an admitted job take part."""
        self._waiting.add(live_job)
        self._pump()

    def end(self, live_job: LiveJob) -> None:
        """The job has ended, however: forget what was still to be sent, and stop what only it was waiting for."""
        self._waiting.remove(live_job)
        if not live_job.succeeded:
            for piece, seconds in self._flights.not_computed(live_job, self._clock()):
                self._waiting.refund(piece, seconds)
            self._stop_unwanted()

    def _pump(self) -> None:
        """Send batches while there is work and a worker with room; what was lost goes first."""
        for worker, piece in self._retries.ready(self._clock()):
            self._send(worker, [piece])
        for lane in LONGEST_FIRST:
            self._fill(lane)
        if self._waiting or self._retries:
            self._watch.start()

    def _fill(self, lane: Lane) -> None:
        while (live_job := self._waiting.peek(lane)) is not None:
            worker = self._liveness.worker_for(lane)
            if worker is None or (lane is Lane.EXPRESS and self._gathers(worker)):
                return
            num_idle = len(self._pool.idle) // self._num_ingresses  # each ingress sees the same idle ones
            self._send(worker, self._waiting.cut_batch(live_job, len(self._pool), num_idle))

    def _gathers(self, worker: Worker) -> bool:
        """Whether to hold small jobs back so that they share a batch, although ``worker``, the best one, has room.

        So if every worker has an express batch, one of which is soon back, and less than a full batch is waiting.
        """
        has_one = worker.taken[Lane.EXPRESS] > 0 and self._flights.num_express > 0
        return has_one and self._waiting.express_core_seconds < GATHERED_SECONDS

    def _send(self, worker: Worker, pieces: list[Piece]) -> None:
        segments = tuple(segment for piece in pieces for segment in piece.segments)
        batch = Batch(segments, short=pieces[0].lane is Lane.EXPRESS, background=self._background)
        task = self._call(worker, batch)
        now = self._clock()
        flight = Flight(worker, pieces, batch, task, now, num_ingresses=self._num_ingresses)
        self._flights.add(flight)
        self._pool.occupy(worker, flight.seconds, flight.lane)
        self._watch.start()
        for piece in pieces:
            piece.worker_ids.append(worker.worker_id)
            piece.live_job.dispatched(piece, worker.worker_id, now)
        task.add_done_callback(lambda _: self._landed(flight), context=contextvars.Context())

    def _call(self, worker: Worker, batch: Batch) -> asyncio.Task[BatchResult]:
        """In an empty context: a batch belongs to no single request.

        Otherwise Serve would cancel it together with the request that happened to send it, although other jobs ride in
        it.
        """
        return asyncio.get_running_loop().create_task(
            self._run_batch(worker.worker_id, batch), context=contextvars.Context()
        )

    def _landed(self, flight: Flight) -> None:
        """A batch has ended: it came back, was lost, or was cancelled (perhaps before it was sent)."""
        worker = flight.worker
        self._flights.remove(flight)
        self._pool.release(worker, flight.seconds, flight.lane)
        if worker.guest in flight.pieces:
            self._pool.share(worker)
        for piece in flight.pieces:
            piece.worker_ids.remove(worker.worker_id)
        result: BatchResult | None = None
        if flight.task.cancelled():
            outcome = BatchOutcome.LATE if flight.late else BatchOutcome.CANCELLED
            if flight.wanted:  # it was not us who cancelled it
                outcome = self._outcomes.lost(flight, asyncio.CancelledError())
        elif (error := flight.task.exception()) is not None:
            if isinstance(error, WorkerLostError):
                self._alarm([worker])
            else:
                self._pool.heard(worker)  # its code raised: it is alive
            outcome = self._outcomes.lost(flight, error)
        elif len(flight.task.result().segments) != len(flight.batch.segments):
            self._pool.heard(worker)
            outcome = self._outcomes.lost(flight, ValueError("a result without some of its segments"))
        else:
            self._pool.heard(worker)
            result = flight.task.result()
            outcome = self._outcomes.returned(flight, result)
            if any(piece.late for piece in flight.pieces):
                self._stop_unwanted()
        self._observer.batch_ended(flight.ended(outcome, result, self._clock()))
        self._liveness.note()
        self._pump()

    def _alarm(self, workers: Iterable[Worker]) -> None:
        """Batches were late or lost on ``workers``: no worker gets anything until it is heard, these least of all."""
        self._pool.alarm()
        self._retries.stop_emptying()
        for worker in workers:
            if worker in self._pool and worker not in self._pool.questions:
                self._liveness.ask(worker)
        self._liveness.note()

    def _look(self, now: float, stood_still_seconds: float) -> bool:
        """See to whatever has become due; returns whether anything may become due later."""
        self._flights.postpone(stood_still_seconds)
        if late := self._late(now):
            self._compute_elsewhere(late)
        for flight in self._flights:
            if flight.worker.guest in flight.pieces and now - flight.dispatched_at >= ALONE_SECONDS:
                self._pool.share(flight.worker)
        self._liveness.ask_again(now)
        self._liveness.note()
        if self._liveness.none_for_too_long(now):
            for live_job in list(self._ledger):
                live_job.fail(NoWorkerError(self._settings.worker_wait_seconds))
        self._pump()
        return bool(self._flights or self._retries or self._waiting or self._pool.questions)

    def _late(self, now: float) -> list[Flight]:
        """The batches that are late as of now.

        A background batch is so only where its worker does not answer, since it may wait for others for long.
        """
        overdue = self._flights.overdue(now)
        if self._background:
            for flight in (waiting := [each for each in overdue if not self._is_silent(each.worker, now)]):
                flight.due_at = now + LATE_SECONDS
                overdue.remove(flight)
            for worker in {each.worker: None for each in waiting}:
                if worker in self._pool and worker not in self._pool.questions:
                    self._liveness.ask(worker)
        self._flights.give_up(overdue)
        return overdue

    def _is_silent(self, worker: Worker, now: float) -> bool:
        question = self._pool.questions.get(worker)
        return worker not in self._pool or (question is not None and now - question.first_asked_at >= LATE_SECONDS)

    def _compute_elsewhere(self, late: list[Flight]) -> None:
        """Send again what should be back by now: its worker stands still, or cannot be reached."""
        self._alarm({flight.worker: None for flight in late})
        for flight in late:
            logger.warning("a batch is late on worker %s: computing it elsewhere", flight.worker.worker_id)
            for piece in flight.pieces:
                self._observer.retried(RetryCause.LATE)
                piece.late = True
                piece.shunned = (flight.worker.worker_id,)
                self._retries.add(piece)

    def _stop_unwanted(self) -> None:
        for flight in self._flights:
            if not flight.wanted:
                flight.task.cancel()

"""A worker in virtual time: one core, on which batches take turns as in ``app.compute_thread``."""

import asyncio
import math
from collections import deque

from app.compute import SLICE_SECONDS
from app.compute_thread import EXPRESS_SLICES, SLICES_A_TURN, SLICES_OF_THE_FIRST_TURN
from app.errors import WorkerLostError

FIRST_TURN_SECONDS = SLICES_OF_THE_FIRST_TURN * SLICE_SECONDS
TURN_SECONDS = SLICES_A_TURN * SLICE_SECONDS


class _Run:
    """A batch on the worker."""

    __slots__ = ("ended", "express_left", "rest_seconds", "turn_seconds")

    def __init__(self, seconds: float) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.express_left = EXPRESS_SLICES
        self.rest_seconds = seconds
        self.turn_seconds = FIRST_TURN_SECONDS
        """What is left of its turn."""


class SimulatedWorker:
    """Computes nothing, and takes as long as it would.

    Slices in which nobody comes or goes are one event: a batch costs the simulation a few, however long it is.
    """

    def __init__(self, worker_id: str, slowness: float = 1.0) -> None:
        """``slowness``: how many times longer than others it takes."""
        self.worker_id = worker_id
        self.slowness = slowness
        self.ended_at: float | None = None
        """When the last batch so far was computed."""
        self.alive = True
        self._loop = asyncio.get_running_loop()
        self._new: deque[_Run] = deque()
        self._express: deque[_Run] = deque()
        self._begun: deque[_Run] = deque()
        self._was_new = False
        self._running: _Run | None = None
        self._resumed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def compute(self, seconds: float) -> float:
        """Return after a batch of so many seconds on a core alone, with the seconds that it took of this one.

        Raises ``WorkerLostError`` when the worker dies, or is dead.
        """
        if not self.alive:
            raise WorkerLostError(self.worker_id)
        run = _Run(seconds * self.slowness)
        self._new.append(run)
        if self._running is None:
            self._resume_next()
        else:
            self._look_round_after_this_slice()
        try:
            await run.ended
        finally:  # if it was cancelled: `_resume_next` passes over it
            if run is self._running:
                self._look_round_after_this_slice()
        return seconds * self.slowness

    def die(self) -> None:
        """All that is on it is lost."""
        self.alive = False
        for run in (*self._new, *self._express, *self._begun, *filter(None, [self._running])):
            if not run.ended.done():
                run.ended.set_exception(WorkerLostError(self.worker_id))
        self._new.clear()
        self._express.clear()
        self._begun.clear()
        self._running = None
        if self._timer is not None:
            self._timer.cancel()

    def _resume_next(self) -> None:
        """As ``ComputeThread._compute_slice`` chooses."""
        self._running = None
        while self._running is None and (self._new or self._express or self._begun):
            newcomers = self._new or self._express
            self._was_new = bool(newcomers) and not (self._was_new and self._begun)
            run = newcomers.popleft() if self._was_new else self._begun.popleft()
            if not run.ended.done():
                self._running = run
        if self._running is None:
            return
        run, self._resumed_at = self._running, self._loop.time()
        if self._was_new or self._new or self._express:
            seconds = SLICE_SECONDS
        elif self._begun:
            seconds = run.turn_seconds
        else:
            seconds = math.inf
        self._pause_after(min(seconds, run.rest_seconds))

    def _look_round_after_this_slice(self) -> None:
        run = self._running
        if run is not None and not self._was_new:
            slices = math.ceil((self._loop.time() - self._resumed_at) / SLICE_SECONDS)
            self._pause_after(min(max(1, slices) * SLICE_SECONDS, run.rest_seconds))

    def _pause_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._resumed_at + seconds, self._pause, seconds)

    def _pause(self, seconds: float) -> None:
        run = self._running
        if run is None:
            return
        run.rest_seconds -= seconds
        if not self._was_new:
            run.turn_seconds -= seconds
        if run.rest_seconds <= 0:
            self.ended_at = self._loop.time()
            if not run.ended.done():
                run.ended.set_result(None)
        elif self._was_new:
            run.express_left -= 1
            (self._express if run.express_left > 0 else self._begun).append(run)
        elif run.turn_seconds < SLICE_SECONDS / 2:
            run.turn_seconds = TURN_SECONDS
            self._begun.append(run)
        else:
            self._begun.appendleft(run)
        self._resume_next()

"""A worker in virtual time: one core, on which batches take the turns of ``app.compute.turns``, as on a real one.

Unit tests, the state machine of the dispatcher and ``make simulate`` all use it.
"""

import asyncio
import math
from collections.abc import Callable

from app.compute.slices import SLICE_SECONDS
from app.compute.turns import Turn, Turns
from app.errors import WorkerLostError
from app.job import Segment, SegmentResult
from app.kernel import Part
from app.queue.cost import CostModel

COST = CostModel()
"""What segments really cost on these workers; dispatchers start by believing the same, and learn from what returns."""


class _Run(Turn):
    """A batch on the worker."""

    __slots__ = ("begin", "ended", "rest_seconds")

    def __init__(self, seconds: float, begin: Callable[[], object] | None, *, short: bool, background: bool) -> None:
        super().__init__(short=short, background=background)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rest_seconds = seconds
        self.begin = begin


class SimulatedWorker:
    """Computes nothing, but takes as long as if it did.

    Slices in which nobody comes or goes are one event: a batch costs the simulation a few, however long it is.
    """

    def __init__(self, worker_id: str, slowness: float = 1.0) -> None:
        """``slowness``: how many times longer than others it takes."""
        self.worker_id = worker_id
        self.slowness = slowness
        self.ended_at: float | None = None
        """When the last batch so far was computed."""
        self.alive = True
        self.frozen = False
        self._loop = asyncio.get_running_loop()
        self._turns: Turns[_Run] = Turns()
        self._waiting: dict[_Run, None] = {}
        self._running: _Run | None = None
        self._resumed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def compute(
        self,
        seconds: float,
        begin: Callable[[], object] | None = None,
        *,
        short: bool = False,
        background: bool = False,
    ) -> float:
        """Return after a batch of so many seconds on a core of its own, with the seconds that it took of this one.

        ``begin`` is called when its first slice begins. Raises ``WorkerLostError`` when the worker dies, or is dead.
        """
        if not self.alive:
            raise WorkerLostError(self.worker_id)
        run = _Run(seconds * self.slowness, begin, short=short, background=background)
        self._turns.add(run)
        self._waiting[run] = None
        if self._running is None:
            self._resume_next()
        else:
            self._look_round_after_this_slice()
        try:
            await run.ended
        finally:  # if it was cancelled: `_resume_next` passes over it
            self._waiting.pop(run)
            if run is self._running:
                self._look_round_after_this_slice()
        return seconds * self.slowness

    def die(self) -> None:
        """Lose everything that is on it."""
        self.alive = False
        self._running = None
        self._stop_timer()
        for run in self._waiting:
            if not run.ended.done():
                run.ended.set_exception(WorkerLostError(self.worker_id))

    def freeze(self) -> None:
        """Stand still; the slice that runs goes on after ``thaw``."""
        if not self.frozen:
            self.frozen = True
            self._stop_timer()
            self._resumed_at -= self._loop.time()  # from now on: minus what it has had

    def thaw(self) -> None:
        """Go on."""
        if self.frozen and self.alive:
            self.frozen = False
            self._resumed_at += self._loop.time()
            if self._running is None:
                self._resume_next()
            else:
                self._look_round_after_this_slice()

    def _resume_next(self) -> None:
        while self._running is None and self._turns and self.alive and not self.frozen:
            run = self._turns.take()
            if run.ended.done():
                continue
            if run.begin is not None:
                begin, run.begin = run.begin, None
                begin()  # which may be the end of the worker
            self._running, self._resumed_at = run, self._loop.time() * (not self.frozen)
            self._pause_after(self._turns.slices_in_a_row(run))

    def _look_round_after_this_slice(self) -> None:
        if self._running is not None and self.alive and not self.frozen:
            self._pause_after(max(1, math.ceil((self._loop.time() - self._resumed_at) / SLICE_SECONDS - 1e-9)))

    def _pause_after(self, slices: float) -> None:
        self._stop_timer()
        if self._running is not None and self.alive and not self.frozen:
            seconds = min(slices * SLICE_SECONDS, self._running.rest_seconds)
            self._timer = self._loop.call_at(self._resumed_at + seconds, self._pause, self._running, seconds)

    def _pause(self, run: _Run, seconds: float) -> None:
        self._running = None
        run.rest_seconds -= seconds
        if run.rest_seconds > 1e-12:
            self._turns.give_back(run, round(seconds / SLICE_SECONDS))
        else:
            self.ended_at = self._loop.time()
            if not run.ended.done():
                run.ended.set_result(None)
        self._resume_next()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def result_of(segment: Segment, slowness: float = 1.0) -> SegmentResult:
    """What a worker that is ``slowness`` times as slow as others returns for the segment."""
    return SegmentResult(
        num_units=(segment.stop - segment.start) * segment.count,
        count=segment.count,
        verified=True,
        compute_seconds=slowness * COST.batch_seconds([segment]),
        part=Part(
            {"index": segment.stop - 1} if segment.stop == segment.task.length > 0 else None,
            opens=_pair_at(segment.start) if segment.start > 0 else None,
            closes=_pair_at(segment.stop) if segment.stop < segment.task.length else None,
        ),
    )


def _pair_at(place: int) -> str:
    return f"the pair at {place}"

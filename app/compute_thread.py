"""One thread that computes, and takes turns among those who want it: a slice each."""

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, TypeVar

from app.compute import compute
from app.job import Segment, SegmentResult

Results = tuple[SegmentResult, ...]
T = TypeVar("T")

SLICES_OF_THE_FIRST_TURN = 200
"""Two seconds: a batch at the ceiling ends in one turn, also at a thousand workers, where ceilings grow to more than a
second. Where two batches on a worker end together it has nothing to do until the next one comes: 2 % of a large job
on two workers with a slice a turn, 5 % on a thousand (simulated) with a quarter of a second."""
SLICES_A_TURN = 25
"""A quarter of a second, for what is not done by then: a local job of minutes."""

EXPRESS_SLICES = 3
"""With which a batch begins before it waits for its turn: a short one may take more than a slice where others use the
core too."""

LOWEST_PRIORITY = 19


class Computed(NamedTuple):
    """What a caller gets, with the CPU time that the thread spent on it."""

    segments: Results
    cpu_seconds: float


class _Run:
    """One caller's segments, somewhere between begun and computed."""

    __slots__ = ("abandoned", "cpu_seconds", "express_left", "finished", "loop", "slices", "slices_left")

    def __init__(self, slices: Generator[None, None, Results]) -> None:
        self.slices = slices
        self.loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[Results] = self.loop.create_future()
        self.cpu_seconds = 0.0
        self.abandoned = False
        self.express_left = EXPRESS_SLICES
        self.slices_left = SLICES_OF_THE_FIRST_TURN
        """Of its turn."""

    def tell(self, do: Callable[[T], None], what: T) -> None:
        """Call ``do(what)`` in the caller's event loop, if that still runs."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(do, what)

    def finish(self, results: Results) -> None:
        if not self.finished.done():  # else the caller left meanwhile
            self.finished.set_result(results)

    def fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)


class ComputeThread:
    """Computes segments off the event loop, one slice of one caller at a time.

    Whoever is new goes first for a few slices, but newcomers get at most every other slice: a short batch is done after
    a slice or two of others, however many long ones are there, and a stream of short ones does not starve a long one.
    The others take turns of many slices, the first one long enough that most batches end one after the other.

    The turns are taken in the thread itself. Returning to the event loop after each slice, as with a one-thread
    executor, cost 0.3 ms a slice: 3 % of the computing.
    """

    def __init__(self) -> None:
        self._new: deque[_Run] = deque()
        self._express: deque[_Run] = deque()
        """Those that have had a slice, and may have a few more before they wait for their turn."""
        self._begun: deque[_Run] = deque()
        self._was_new = False
        self._num_waiting = threading.Semaphore(0)
        threading.Thread(target=self._compute, name="compute", daemon=True).start()

    async def run(self, segments: Sequence[Segment]) -> Computed:
        """The results of ``app.compute.compute``. If this is cancelled, computing stops at the slice's end."""
        run = _Run(compute(segments))
        self._new.append(run)
        self._num_waiting.release()
        try:
            return Computed(await run.finished, run.cpu_seconds)
        finally:
            run.abandoned = True

    def _compute(self) -> None:
        # Whoever sends, takes or answers batches goes first: it needs little and makes others wait.
        with contextlib.suppress(OSError):
            os.nice(LOWEST_PRIORITY)  # on Linux this thread's alone
        while True:
            self._num_waiting.acquire()
            self._compute_slice()

    def _compute_slice(self) -> None:
        newcomers = self._new or self._express
        self._was_new = bool(newcomers) and not (self._was_new and self._begun)
        run = newcomers.popleft() if self._was_new else self._begun.popleft()
        if run.abandoned:
            return
        begun = time.thread_time()
        try:
            next(run.slices)
        except StopIteration as end:
            run.cpu_seconds += time.thread_time() - begun
            results: Results = end.value
            run.tell(run.finish, results)
        except Exception as error:  # noqa: BLE001 (it is raised where the result is awaited)
            run.tell(run.fail, error)
        else:
            run.cpu_seconds += time.thread_time() - begun
            self._queue_again(run)
            self._num_waiting.release()

    def _queue_again(self, run: _Run) -> None:
        if self._was_new:
            run.express_left -= 1
            (self._express if run.express_left > 0 else self._begun).append(run)
            return
        run.slices_left -= 1
        if run.slices_left > 0:
            self._begun.appendleft(run)
        else:
            run.slices_left = SLICES_A_TURN
            self._begun.append(run)

"""One thread that computes for all callers in turn, a slice each."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from app.compute.slices import compute
from app.compute.turns import Turn, Turns
from app.job import Segment, SegmentResult

Results = tuple[SegmentResult, ...]
T = TypeVar("T")

LOWEST_PRIORITY = 19


class Computed(NamedTuple):
    """A caller's results, and the CPU time that the thread spent on them."""

    segments: Results
    cpu_seconds: float


class _Run(Turn):
    """One caller's segments while they are being computed."""

    __slots__ = ("abandoned_at", "cpu_seconds", "finished", "loop", "slices")

    def __init__(self, slices: Generator[None, None, Results], *, short: bool, background: bool) -> None:
        super().__init__(short=short, background=background)
        self.slices = slices
        self.loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[Results] = self.loop.create_future()
        self.cpu_seconds = 0.0
        self.abandoned_at: float | None = None
        """Since when nobody has waited for it."""

    def tell(self, do: Callable[[T], None], what: T) -> None:
        """Call ``do(what)`` in the caller's event loop, if it is still running."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(do, what)

    def finish(self, results: Results) -> None:
        if not self.finished.done():  # otherwise the caller has left
            self.finished.set_result(results)

    def fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)


class ComputeThread:
    """Computes segments off the event loop, one slice of one caller at a time, in the order of ``app.compute.turns``.

    The turns are taken in the thread itself. Returning to the event loop after each slice, as with a one-thread
    executor, cost 0.3 ms a slice: 3 % of the computing.
    """

    def __init__(self) -> None:
        self._turns: Turns[_Run] = Turns()
        self._num_waiting = threading.Semaphore(0)
        self.busy_seconds = 0.0
        """In slices, whatever came of them."""
        self.num_cancelled = 0
        """Callers that left before their results were there."""
        self.cancel_seconds = 0.0
        """How long they still held the thread."""
        threading.Thread(target=self._compute, name="compute", daemon=True).start()

    async def run(self, segments: Sequence[Segment], *, short: bool = False, background: bool = False) -> Computed:
        """The results of ``app.compute.slices.compute``. If this is cancelled, computing stops at the slice's end."""
        run = _Run(compute(segments), short=short, background=background)
        self._turns.add(run)
        self._num_waiting.release()
        try:
            return Computed(await run.finished, run.cpu_seconds)
        finally:
            run.abandoned_at = time.perf_counter()

    def _compute(self) -> None:
        # The threads that send, receive and answer batches go first: they need little, and others wait for them.
        with contextlib.suppress(OSError):
            os.nice(LOWEST_PRIORITY)  # on Linux this applies to this thread alone
        while True:
            self._num_waiting.acquire()
            self._compute_slice()

    def _compute_slice(self) -> None:
        run = self._turns.take()
        if run.abandoned_at is not None:
            self.num_cancelled += 1
            return
        begun_at, begun = time.perf_counter(), time.thread_time()
        tell: Callable[[], None] | None = None
        try:
            next(run.slices)
        except StopIteration as end:
            tell = partial(run.tell, run.finish, end.value)
        except Exception as error:  # noqa: BLE001 (it is raised where the result is awaited)
            tell = partial(run.tell, run.fail, error)
        ended_at = time.perf_counter()
        run.cpu_seconds += time.thread_time() - begun
        self.busy_seconds += ended_at - begun_at
        if run.abandoned_at is not None:
            self.num_cancelled += 1
            self.cancel_seconds += max(0.0, ended_at - run.abandoned_at)
        elif tell is not None:
            tell()
        else:
            self._turns.give_back(run)
            self._num_waiting.release()

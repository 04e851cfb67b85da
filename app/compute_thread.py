"""One thread that computes, and takes turns among those who want it: a slice each."""

import asyncio
import queue
import threading
from collections.abc import Generator, Sequence

from app.compute import compute
from app.job import Segment, SegmentResult

Results = tuple[SegmentResult, ...]


class _Run:
    """One caller's segments, somewhere between begun and computed."""

    __slots__ = ("abandoned", "finished", "loop", "slices")

    def __init__(self, slices: Generator[None, None, Results]) -> None:
        self.slices = slices
        self.loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[Results] = self.loop.create_future()
        self.abandoned = False

    def finish(self, results: Results) -> None:
        if not self.finished.done():  # else the caller left meanwhile
            self.finished.set_result(results)

    def fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)


class ComputeThread:
    """Computes segments off the event loop, one slice of one caller at a time.

    The turns are taken in the thread itself. Returning to the event loop after each slice, as with a one-thread
    executor, cost 0.3 ms a slice: 3 % of the computing.
    """

    def __init__(self) -> None:
        self._turns: queue.SimpleQueue[_Run] = queue.SimpleQueue()
        threading.Thread(target=self._take_turns, name="compute", daemon=True).start()

    async def run(self, segments: Sequence[Segment]) -> Results:
        """The results of ``app.compute.compute``. If this is cancelled, computing stops at the slice's end."""
        run = _Run(compute(segments))
        self._turns.put(run)
        try:
            return await run.finished
        finally:
            run.abandoned = True

    def _take_turns(self) -> None:
        while True:
            run = self._turns.get()
            if run.abandoned:
                continue
            try:
                next(run.slices)
            except StopIteration as end:
                results: Results = end.value
                run.loop.call_soon_threadsafe(run.finish, results)
            except Exception as error:  # noqa: BLE001 (it is raised where the result is awaited)
                run.loop.call_soon_threadsafe(run.fail, error)
            else:
                self._turns.put(run)
            del run  # or the thread would hold the last one's numbers while it waits

"""Workers whose every batch ends when and how the test says. Use it inside a running ``VirtualTimeLoop``."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

from app.cost import CostModel, work_of_segments
from app.dispatcher import Dispatcher
from app.errors import WorkerLostError
from app.fibonacci import LastTerm
from app.job import Batch, BatchResult, Segment, SegmentResult
from app.settings import Settings

COST = CostModel()


@dataclass(eq=False, slots=True)
class Call:
    """One batch on one worker, until it is answered or its caller gives it up."""

    worker_id: str
    batch: Batch
    answer: asyncio.Future[BatchResult]
    sent_at: float

    @property
    def predicted_seconds(self) -> float:
        """By the cost model that dispatchers begin with."""
        return COST.seconds(work_of_segments(self.batch.segments))

    def succeed(self, slowness: float = 1.0) -> None:
        """Every segment is right; it took ``slowness`` times as long as predicted."""
        self._answer([_result(segment, slowness) for segment in self.batch.segments])

    def err(self, which: int) -> None:
        """One segment fails its check."""
        results = [_result(segment) for segment in self.batch.segments]
        results[which % len(results)] = replace(results[which % len(results)], verified=False)
        self._answer(results)

    def truncate(self) -> None:
        """A result without its last segment."""
        self._answer([_result(segment) for segment in self.batch.segments[:-1]])

    def lose(self, *, was_running: bool = True) -> None:
        """The worker cannot be reached."""
        self.answer.set_exception(WorkerLostError(self.worker_id, was_running))

    def fail(self) -> None:
        """The worker's code raises."""
        self.answer.set_exception(RuntimeError("a bug"))

    def _answer(self, results: list[SegmentResult]) -> None:
        seconds = sum(result.compute_seconds for result in results)
        self.answer.set_result(BatchResult(self.worker_id, "node", tuple(results), 0.0, seconds))


class ManualPool:
    """A dispatcher, and the calls that its workers have not answered, oldest first."""

    def __init__(self, settings: Settings) -> None:
        self.calls: list[Call] = []
        self.probes: list[Call] = []
        """Those with empty batches."""
        self.worker_ids: list[str] = []
        self._num_joined = 0
        self.dispatcher = Dispatcher(self.run_batch, settings, asyncio.get_running_loop().time)

    def join(self) -> None:
        """A new worker joins."""
        self.worker_ids.append(f"w{self._num_joined}")
        self._num_joined += 1
        self.announce()

    def announce(self) -> None:
        """The dispatcher hears who is there."""
        self.dispatcher.set_workers(self.worker_ids)

    def succeed_all(self) -> None:
        """Every worker answers everything."""
        for call in self.calls:
            call.succeed()

    def lose_all_on(self, worker_id: str) -> None:
        """What is on this worker is lost."""
        for call in self.calls:
            if call.worker_id == worker_id:
                call.lose()

    @property
    def in_flight(self) -> Counter[str]:
        """Calls by worker."""
        return Counter(call.worker_id for call in self.calls)

    async def run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch``."""
        loop = asyncio.get_running_loop()
        call = Call(worker_id, batch, loop.create_future(), loop.time())
        calls = self.calls if batch.segments else self.probes
        calls.append(call)
        try:
            return await call.answer
        finally:
            calls.remove(call)


def _result(segment: Segment, slowness: float = 1.0) -> SegmentResult:
    seconds = COST.segment_seconds(segment.start, segment.stop, segment.count)
    last_term = LastTerm(segment.stop - 1, 1, 1, "") if segment.wants_last_term and segment.stop else None
    num_terms = (segment.stop - segment.start) * segment.count
    return SegmentResult(
        num_terms, segment.count, verified=True, compute_seconds=seconds * slowness, last_term=last_term
    )

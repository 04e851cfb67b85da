"""A pool of workers in virtual time: a ``RunBatch`` that computes nothing and takes as long as it would.

Use it inside ``tests.virtual_time.run_virtually``.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from app.cost import CostModel, work_of_segments
from app.dispatcher import Dispatcher
from app.errors import WorkerLostError
from app.fibonacci import LastTerm
from app.job import Batch, BatchResult, Execution, Job, Segment, SegmentResult
from app.settings import Settings

COST = CostModel()
"""What segments really cost on these workers; dispatchers start by believing the same."""

ROOMY = Settings(
    max_compute_seconds=1e6,
    max_queued_seconds=1e6,
    max_caller_jobs=1_000_000,
    max_caller_queued_seconds=1e6,
    max_timeout_seconds=86_400,
)


def job(seconds: float, num_sequences: int = 1, execution: Execution = Execution.DISTRIBUTED, caller: str = "") -> Job:
    """A job of ``num_sequences`` sequences that take about so many seconds each."""
    return Job("", COST.stop_for(0, seconds), num_sequences, execution, caller)


@dataclass(slots=True)
class Call:
    """One batch given to one worker."""

    worker_id: str
    batch: Batch
    sent_at: float
    outcome: str = "running"  # then: returned, cancelled, lost


@dataclass(slots=True)
class SimulatedWorker:
    """One process with one core: batches on it take turns of ``slice_seconds``."""

    core: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: set[asyncio.Task[BatchResult]] = field(default_factory=set)
    alive: bool = True
    runs: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.runs.set()


class SimulatedPool:
    """Workers named w0, w1, ... and a dispatcher in front of them; every call is kept in ``calls``."""

    def __init__(
        self,
        num_workers: int,
        settings: Settings = ROOMY,
        latency_seconds: float = 0.001,
        dispatch_seconds: float = 0.0,
        slice_seconds: float = math.inf,
        *,
        speed: float = 1.0,
    ) -> None:
        """``speed``: CPU seconds that a worker gets a second."""
        self.calls: list[Call] = []
        self.probes: list[Call] = []
        """Those with empty batches."""
        self.most_in_flight = 0
        """The most batches that any worker held at a time."""
        self.is_poison: Callable[[Segment], bool] = lambda _: False
        """Segments that kill the worker that begins them."""
        self.is_wrong: Callable[[str, Segment], bool] = lambda *_: False
        """Segments that this worker computes wrongly."""
        self.replacement_seconds: float | None = None
        """How long after a loss a new worker joins; None: never."""
        self._latency_seconds = latency_seconds
        self._dispatch_seconds = dispatch_seconds
        self._slice_seconds = slice_seconds
        self._speed = speed
        self._ingress = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._workers: dict[str, SimulatedWorker] = {}
        self._num_joined = 0
        self.dispatcher = Dispatcher(self.run_batch, settings, self._loop.time)
        self.join(num_workers)

    def join(self, num_workers: int = 1) -> None:
        """New workers join."""
        for _ in range(num_workers):
            self._workers[f"w{self._num_joined}"] = SimulatedWorker()
            self._num_joined += 1
        self.dispatcher.set_workers(self._workers)

    def kill(self, worker_id: str, notice_seconds: float = 0.1) -> None:
        """The worker dies with all that is on it; the dispatcher hears of it a little later."""
        worker = self._workers.pop(worker_id)
        worker.alive = False
        for task in worker.tasks:
            task.cancel()
        self._loop.call_later(notice_seconds, lambda: self.dispatcher.set_workers(self._workers))
        if self.replacement_seconds is not None:
            self._loop.call_later(self.replacement_seconds, self.join)

    def freeze(self, worker_id: str) -> None:
        """The worker stands still with all that is on it, and nobody is told."""
        self._workers[worker_id].runs.clear()

    def thaw(self, worker_id: str) -> None:
        """The worker goes on."""
        self._workers[worker_id].runs.set()

    @property
    def worker_ids(self) -> list[str]:
        """Who is alive."""
        return list(self._workers)

    async def run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch``."""
        call = Call(worker_id, batch, self._loop.time())
        (self.calls if batch.segments else self.probes).append(call)
        worker = self._workers.get(worker_id)
        task = asyncio.current_task()
        if worker is None or task is None:
            call.outcome = "lost"
            raise WorkerLostError(worker_id)
        worker.tasks.add(task)
        self.most_in_flight = max(self.most_in_flight, len(worker.tasks))
        try:
            result = await self._call(worker_id, worker, batch)
        except asyncio.CancelledError:
            call.outcome = "cancelled" if worker.alive else "lost"
            if worker.alive:
                raise
            raise WorkerLostError(worker_id) from None
        finally:
            worker.tasks.discard(task)
        call.outcome = "returned"
        return result

    async def _call(self, worker_id: str, worker: SimulatedWorker, batch: Batch) -> BatchResult:
        if self._dispatch_seconds:
            async with self._ingress:
                await asyncio.sleep(self._dispatch_seconds)
        await asyncio.sleep(self._latency_seconds / 2)
        received_at = self._loop.time()
        cpu_seconds = await self._compute(worker_id, worker, batch)
        queued_seconds = self._loop.time() - received_at - cpu_seconds / self._speed
        await asyncio.sleep(self._latency_seconds / 2)
        results = tuple(self._result(worker_id, segment) for segment in batch.segments)
        return BatchResult(worker_id, "node", results, queued_seconds, cpu_seconds)

    async def _compute(self, worker_id: str, worker: SimulatedWorker, batch: Batch) -> float:
        await worker.runs.wait()
        seconds = rest = COST.seconds(work_of_segments(batch.segments))
        while rest > 0:
            async with worker.core:
                if any(map(self.is_poison, batch.segments)) and worker.alive:
                    self.kill(worker_id)
                turn = min(rest, self._slice_seconds)
                await asyncio.sleep(turn / self._speed)
                await worker.runs.wait()
                rest -= turn
        return seconds

    def _result(self, worker_id: str, segment: Segment) -> SegmentResult:
        return SegmentResult(
            num_terms=(segment.stop - segment.start) * segment.count,
            count=segment.count,
            verified=not self.is_wrong(worker_id, segment),
            compute_seconds=COST.segment_seconds(segment.start, segment.stop, segment.count) / self._speed,
            last_term=LastTerm(segment.stop - 1, 1, 1, "") if segment.wants_last_term and segment.stop else None,
        )


def assert_nothing_is_left(pool: SimulatedPool) -> None:
    """No job, no batch in flight, no predicted work, no load on a worker that lives."""
    dispatcher = pool.dispatcher
    assert (dispatcher.num_queued_jobs, dispatcher.num_unfinished_jobs, dispatcher.drain_seconds) == (0, 0, 0.0)
    assert not dispatcher._scheduler._flights
    assert not dispatcher._scheduler._retries
    assert not any(call.outcome == "running" for call in pool.calls)
    for worker in dispatcher._scheduler._pool._workers.values():
        assert (worker.in_flight, worker.predicted_seconds, worker.reserved) == (0, 0.0, False)
        assert worker.suspended or worker.worker_id in dispatcher._scheduler._pool._by_load[0, 0]

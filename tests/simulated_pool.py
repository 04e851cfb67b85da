"""A pool of simulated workers, and a dispatcher in front of it. Use it inside ``run_virtually``."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.dispatch.dispatcher import Dispatcher
from app.errors import WorkerLostError
from app.job import Batch, BatchResult, Execution, Job, JobResult, Segment, SegmentResult
from app.kernel import Part
from app.kernels.fibonacci.task import FibonacciTask
from app.observer import Observer
from app.settings import Settings
from harness.simulated_worker import COST, SimulatedWorker, result_of

ROOMY = Settings(
    max_compute_seconds=1e6,
    max_queued_seconds=1e6,
    max_caller_jobs=1_000_000,
    max_caller_queued_seconds=1e6,
    max_timeout_seconds=86_400,
)


def job(seconds: float, num_lines: int = 1, execution: Execution = Execution.DISTRIBUTED, caller: str = "") -> Job:
    """A job of ``num_lines`` lines that take so many seconds each, or a term's time more."""
    endless = FibonacciTask(sys.maxsize)
    return Job("", FibonacciTask(COST.stop_for(endless, 0, seconds) + 1, num_lines), execution, caller)


def local(seconds: float, caller: str = "") -> Job:
    """A job that goes in one call."""
    return job(seconds, execution=Execution.LOCAL, caller=caller)


@dataclass(eq=False, slots=True)
class Call:
    """One batch given to one worker. Its answer comes from the worker, or by hand before that."""

    worker_id: str
    batch: Batch
    sent_at: float
    answer: asyncio.Future[BatchResult]
    outcome: str = "running"  # then: returned, failed, cancelled, lost

    @property
    def predicted_seconds(self) -> float:
        """By the cost model that dispatchers begin with."""
        return COST.batch_seconds(self.batch.segments)

    def succeed(self, slowness: float = 1.0) -> None:
        """Every segment is right; it took ``slowness`` times as long as predicted."""
        self.finish([result_of(segment, slowness) for segment in self.batch.segments])

    def err(self, which: int) -> None:
        """One segment fails its check."""
        results = [result_of(segment) for segment in self.batch.segments]
        results[which % len(results)] = replace(results[which % len(results)], verified=False)
        self.finish(results)

    def truncate(self) -> None:
        """A result without its last segment."""
        self.finish([result_of(segment) for segment in self.batch.segments[:-1]])

    def lose(self, *, was_running: bool = True) -> None:
        """The worker cannot be reached."""
        self._raise(WorkerLostError(self.worker_id, was_running))

    def fail(self) -> None:
        """The worker's code raises."""
        self._raise(RuntimeError("a bug"))

    def finish(self, results: list[SegmentResult], queued_seconds: float = 0.0, speed: float = 1.0) -> None:
        """The worker returns this."""
        seconds = sum(result.compute_seconds for result in results)
        if not self.answer.done():
            self.outcome = "returned"
            self.answer.set_result(BatchResult(self.worker_id, "node", tuple(results), queued_seconds, seconds * speed))

    def _raise(self, error: Exception) -> None:
        if not self.answer.done():
            self.outcome = "lost" if isinstance(error, WorkerLostError) else "failed"
            self.answer.set_exception(error)


class SimulatedPool:
    """Workers named w0, w1, ... and a dispatcher in front of them; every call is kept in ``calls``."""

    def __init__(
        self,
        num_workers: int,
        settings: Settings = ROOMY,
        latency_seconds: float = 0.001,
        dispatch_seconds: float = 0.0,
        *,
        speed: float = 1.0,
        by_hand: bool = False,
        num_ingresses: int = 1,
        observer: Observer | None = None,
    ) -> None:
        """``speed``: CPU seconds that a worker gets a second. ``by_hand``: nobody computes, calls are answered here."""
        self.calls: list[Call] = []
        self.probes: list[Call] = []
        """Those with empty batches."""
        self.most_in_flight = 0
        """The most batches that any worker held at a time."""
        self.before: Callable[[str, Batch], object] = lambda *_: None
        """Called before each batch; what it raises is the batch's outcome."""
        self.is_poison: Callable[[Segment], bool] = lambda _: False
        """Segments that kill the worker that begins them."""
        self.is_wrong: Callable[[str, Segment], bool] = lambda *_: False
        """Segments that this worker computes wrongly."""
        self.finds: Callable[[str, Segment, Part], Part] = lambda _, __, part: part
        """What this worker says that it found, instead of the truth."""
        self.replacement_seconds: float | None = None
        """How long after a loss a new worker joins; None: never."""
        self._latency_seconds = latency_seconds
        self._dispatch_seconds = dispatch_seconds
        self._speed = speed
        self._by_hand = by_hand
        self._ingress = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._workers: dict[str, SimulatedWorker] = {}
        self._links: dict[str, asyncio.Event] = {}
        """Whether messages to and from a worker pass, while that can change."""
        self._refused: set[str] = set()
        self._num_joined = 0
        self.in_flight: Counter[str] = Counter()
        """Calls that are not answered, by worker, without probes."""
        self.dispatcher = Dispatcher(
            self.run_batch, settings, self._loop.time, num_ingresses=num_ingresses, observer=observer
        )
        self.join(num_workers)

    def join(self, num_workers: int = 1) -> None:
        """New workers join."""
        for _ in range(num_workers):
            worker = SimulatedWorker(f"w{self._num_joined}")
            self._workers[worker.worker_id] = worker
            self._num_joined += 1
            if self._by_hand:
                worker.freeze()
        self.announce()

    def announce(self) -> None:
        """The dispatcher hears who is there."""
        self.dispatcher.set_workers(self._workers)

    def leave(self, worker_id: str) -> None:
        """The worker is there no more, but ends what it has; the dispatcher is not told."""
        del self._workers[worker_id]

    def kill(self, worker_id: str, notice_seconds: float = 0.1) -> None:
        """The worker dies with all that is on it; the dispatcher hears of it a little later."""
        self._workers.pop(worker_id).die()
        self.lose_all_on(worker_id)
        self._loop.call_later(notice_seconds, self.announce)
        if self.replacement_seconds is not None:
            self._loop.call_later(self.replacement_seconds, self.join)

    def freeze(self, worker_id: str) -> None:
        """The worker stands still with all that is on it, and nobody is told."""
        self._workers[worker_id].freeze()

    def thaw(self, worker_id: str) -> None:
        """The worker goes on."""
        self._workers[worker_id].thaw()

    def cut_off(self, worker_id: str) -> None:
        """Nothing reaches the worker nor comes from it, and nobody is told: calls hang."""
        self._links.setdefault(worker_id, asyncio.Event()).clear()

    def reconnect(self, worker_id: str) -> None:
        """What hangs goes on; what was refused is refused no more."""
        self._refused.discard(worker_id)
        if worker_id in self._links:
            self._links.pop(worker_id).set()

    def refuse(self, worker_id: str) -> None:
        """The worker is still listed, but cannot be reached: every call of it fails at once."""
        self._refused.add(worker_id)
        self.lose_all_on(worker_id)

    def lose_all_on(self, worker_id: str) -> None:
        """What is on this worker is lost."""
        for call in self.out + self.asked:
            if call.worker_id == worker_id:
                call.lose()

    def succeed_all(self) -> None:
        """Every worker answers everything."""
        for call in self.out:
            call.succeed()

    @property
    def worker_ids(self) -> list[str]:
        """Who is alive."""
        return list(self._workers)

    @property
    def out(self) -> list[Call]:
        """The calls that are not answered, oldest first; without probes."""
        return [call for call in self.calls if call.outcome == "running"]

    @property
    def asked(self) -> list[Call]:
        """The probes that are not answered."""
        return [call for call in self.probes if call.outcome == "running"]

    async def run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch``."""
        call = Call(worker_id, batch, self._loop.time(), self._loop.create_future())
        (self.calls if batch.segments else self.probes).append(call)
        worker = self._workers.get(worker_id)
        if worker is None or worker_id in self._refused:
            call.outcome = "lost"
            raise WorkerLostError(worker_id, was_running=worker is not None)
        work = self._loop.create_task(self._work(worker, call))
        self.in_flight[worker_id] += bool(batch.segments)
        self.most_in_flight = max(self.most_in_flight, self.in_flight[worker_id])
        try:
            self.before(worker_id, batch)
            return await call.answer
        except asyncio.CancelledError:
            call.outcome = "cancelled"
            raise
        finally:
            work.cancel()
            self.in_flight[worker_id] -= bool(batch.segments)
            if call.outcome == "running":
                call.outcome = "failed"

    def begins(self, call: Call) -> None:
        """The worker begins to compute it."""
        if any(map(self.is_poison, call.batch.segments)):
            self.kill(call.worker_id)

    async def _work(self, worker: SimulatedWorker, call: Call) -> None:
        if self._dispatch_seconds:
            async with self._ingress:
                await asyncio.sleep(self._dispatch_seconds)
        await self._travel(worker.worker_id)
        received_at = self._loop.time()
        try:
            seconds = await worker.compute(
                call.predicted_seconds / self._speed,
                lambda: self.begins(call),
                short=call.batch.short,
                background=call.batch.background,
            )
        except WorkerLostError:
            call.lose()
            return
        queued_seconds = self._loop.time() - received_at - seconds
        await self._travel(worker.worker_id)
        call.finish([self._result(worker.worker_id, s) for s in call.batch.segments], queued_seconds, self._speed)

    async def _travel(self, worker_id: str) -> None:
        await asyncio.sleep(self._latency_seconds / 2)
        if (link := self._links.get(worker_id)) is not None:
            await link.wait()

    def _result(self, worker_id: str, segment: Segment) -> SegmentResult:
        result = result_of(segment, 1 / self._speed)
        part = self.finds(worker_id, segment, result.part or Part())
        return replace(result, verified=not self.is_wrong(worker_id, segment), part=part)


def submit(pool: SimulatedPool, *jobs: Job, timeout_seconds: float | None = None) -> "asyncio.Task[list[JobResult]]":
    """The jobs under one admission, in a task of their own."""
    return asyncio.create_task(pool.dispatcher.run(*jobs, timeout_seconds=timeout_seconds))


def assert_nothing_is_left(pool: SimulatedPool) -> None:
    """No job, no batch in flight, no predicted work, no load on a worker that lives."""
    dispatcher = pool.dispatcher
    assert (dispatcher.num_queued_jobs, dispatcher.num_unfinished_jobs, dispatcher.drain_seconds) == (0, 0, 0.0)
    assert not dispatcher._scheduler._flights
    assert not dispatcher._scheduler._retries
    assert not pool.out
    for worker in dispatcher._scheduler._pool:
        assert (worker.in_flight, worker.predicted_seconds, worker.guest) == (0, 0.0, None)

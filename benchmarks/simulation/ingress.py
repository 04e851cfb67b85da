"""An ingress in virtual time: the real dispatcher, behind an event loop that does one thing at a time."""

import asyncio
import random
from collections.abc import Mapping, Sequence

from app.dispatch.dispatcher import Dispatcher
from app.errors import WorkerLostError
from app.job import Batch, BatchResult
from benchmarks.simulation.parameters import Parameters
from harness.simulated_worker import COST, SimulatedWorker, result_of


class SimulatedIngress:
    """A dispatcher whose batches cost its event loop time, then the network, then a worker."""

    def __init__(self, parameters: Parameters, workers: Mapping[str, SimulatedWorker], seed: int) -> None:
        """``workers``: those alive, whatever the dispatcher has heard so far."""
        self.num_batches = 0
        self.num_lost = 0
        self.num_late = 0
        self.busy_seconds = 0.0
        """Of its event loop, spent on dispatching."""
        self._loop = asyncio.get_running_loop()
        self._workers = workers
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._send_seconds = parameters.dispatch_seconds * parameters.send_share
        self._return_seconds = parameters.dispatch_seconds - self._send_seconds
        self._latency_seconds = parameters.latency_seconds / 2
        self._jitter_seconds = parameters.jitter_seconds / 2
        self._free_at = 0.0
        self.dispatcher = Dispatcher(
            self.run_batch, parameters.settings, self._loop.time, num_ingresses=parameters.num_ingresses
        )
        watch = self.dispatcher._scheduler._watch  # noqa: SLF001 (the product needs no way to delay its timer)
        self._tick = watch._tick  # noqa: SLF001 (likewise)
        watch._tick = self._wait_and_tick  # type: ignore[method-assign]  # noqa: SLF001 (likewise)

    def hear_of(self, worker_ids: Sequence[str]) -> None:
        """Learn which workers there are, in an order of its own, as ``deployments.routing.calls`` does."""
        self.dispatcher.set_workers(self._random.sample(worker_ids, len(worker_ids)))

    async def run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch``."""
        self.num_batches += 1
        try:
            await asyncio.sleep(self._occupied(self._send_seconds) + self._travel())
            worker = self._workers.get(worker_id)
            if worker is None:
                raise WorkerLostError(worker_id)  # noqa: TRY301 (it is counted below)
            received_at = self._loop.time()
            seconds = await worker.compute(COST.batch_seconds(batch.segments), short=batch.short)
            queued_seconds = self._loop.time() - received_at - seconds
            await asyncio.sleep(self._travel())
        except WorkerLostError:
            self.num_lost += 1
            raise
        except asyncio.CancelledError:  # the other copy of it came first: nothing else is cancelled here
            self.num_late += 1
            raise
        await asyncio.sleep(self._occupied(self._return_seconds))
        results = tuple(result_of(segment, worker.slowness) for segment in batch.segments)
        return BatchResult(worker_id, "node", results, queued_seconds, seconds)

    def _occupied(self, seconds: float) -> float:
        """Take ``seconds`` of the event loop, first come, first served; returns how long until they are over."""
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + seconds
        self.busy_seconds += seconds
        return self._free_at - now

    def _wait_and_tick(self) -> None:
        """The dispatcher's timer waits for its turn as well, and so the dispatcher knows that the loop stood still."""
        self._loop.call_at(max(self._loop.time(), self._free_at), self._tick)

    def _travel(self) -> float:
        jitter = self._random.expovariate(1 / self._jitter_seconds) if self._jitter_seconds else 0.0
        return self._latency_seconds + jitter

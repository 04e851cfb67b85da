"""FibonacciWorker: runs batches slice by slice in its one compute thread."""

import sys
import time

import ray
from ray import serve

from app.compute.thread import ComputeThread
from app.job import Batch, BatchResult
from app.observe import gauges
from app.status import WorkerStatus
from deployments.metrics import Flush
from deployments.watchdogs import start

SWITCH_INTERVAL_SECONDS = 0.001
"""How long the compute thread may hold the GIL while the event loop wants it; Python's default is 5 ms."""


class FibonacciWorker:
    """One process, one core. Batches on it take turns, a slice each; a cancelled one stops within a slice."""

    def __init__(self) -> None:
        start.start_guard()
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        self._worker_id = serve.get_replica_context().replica_id.unique_id
        self._node_id = ray.get_runtime_context().get_node_id()
        self._compute_thread = ComputeThread()
        self._flush = Flush(lambda: gauges.of_thread(self._compute_thread))
        self._flush.start()
        self._num_running = 0
        self._completed_batches = 0
        self._compute_seconds = 0.0

    async def run(self, batch: Batch) -> BatchResult:
        """Compute the batch. On cancellation the current slice ends, and no other begins."""
        received_at = time.perf_counter()
        self._num_running += 1
        try:
            computed = await self._compute_thread.run(batch.segments, short=batch.short, background=batch.background)
        finally:
            self._num_running -= 1
        compute_seconds = sum(result.compute_seconds for result in computed.segments)
        self._completed_batches += bool(batch.segments)  # an empty one only asks whether the worker is alive
        self._compute_seconds += compute_seconds
        queued_seconds = time.perf_counter() - received_at - compute_seconds
        return BatchResult(self._worker_id, self._node_id, computed.segments, queued_seconds, computed.cpu_seconds)

    async def status(self) -> WorkerStatus:
        """What this worker reports of itself."""
        return WorkerStatus(
            self._worker_id,
            self._node_id,
            busy=self._num_running > 0,
            completed_batches=self._completed_batches,
            compute_seconds=self._compute_seconds,
        )

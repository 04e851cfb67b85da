"""FibonacciWorker: runs batches slice by slice in its one compute thread."""

import asyncio
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import ray
from ray import serve

from app.compute import compute
from app.job import Batch, BatchResult, SegmentResult
from app.status import WorkerStatus

SWITCH_INTERVAL_SECONDS = 0.001
"""How long the compute thread may hold the GIL while the event loop wants it; Python's default is 5 ms."""


class FibonacciWorker:
    """One process, one core. Batches on it take turns, a slice each; a cancelled one stops within a slice."""

    def __init__(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        self._worker_id = serve.get_replica_context().replica_id.unique_id
        self._node_id = ray.get_runtime_context().get_node_id()
        self._compute_thread = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._num_running = 0
        self._completed_batches = 0
        self._compute_seconds = 0.0

    async def run(self, batch: Batch) -> BatchResult:
        """Compute the batch. On cancellation the slice that runs ends, and no other begins."""
        received_at = time.perf_counter()
        slices = compute(batch.segments)
        loop = asyncio.get_running_loop()
        self._num_running += 1
        try:
            results = None
            while results is None:
                results = await loop.run_in_executor(self._compute_thread, _next_slice, slices)
        finally:
            self._num_running -= 1
        compute_seconds = sum(result.compute_seconds for result in results)
        self._completed_batches += 1
        self._compute_seconds += compute_seconds
        queued_seconds = time.perf_counter() - received_at - compute_seconds
        return BatchResult(self._worker_id, self._node_id, results, queued_seconds)

    async def status(self) -> WorkerStatus:
        """This worker's account of itself."""
        return WorkerStatus(
            self._worker_id,
            self._node_id,
            busy=self._num_running > 0,
            completed_batches=self._completed_batches,
            compute_seconds=self._compute_seconds,
        )


Slices = Generator[None, None, tuple[SegmentResult, ...]]


def _next_slice(slices: Slices) -> tuple[SegmentResult, ...] | None:
    """Run one slice; the results if it was the last."""
    try:
        next(slices)
    except StopIteration as end:
        results: tuple[SegmentResult, ...] = end.value
        return results
    return None

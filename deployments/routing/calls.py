"""How an ingress calls the workers, with errors in the words of ``app``."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from grpc.aio import AioRpcError  # type: ignore[import-untyped]
from ray.exceptions import RayError, RayTaskError
from ray.serve.handle import DeploymentHandle

from app.errors import WorkerLostError
from app.job import Batch, BatchResult
from app.status import WorkerStatus
from deployments.routing import roster
from deployments.routing.cancelling import is_ours

LOST = (RayError, AioRpcError)
"""What a call raises if the worker died, is stopping or cannot be reached."""


class Workers:
    """Calls single workers by their id, and knows which there are."""

    def __init__(self, handle: DeploymentHandle[Any], on_change: Callable[[list[str]], None]) -> None:
        """``on_change`` is called in the running event loop with the ids of all live workers."""
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._workers: Mapping[str, roster.Member] = {}
        roster.on_change(self._hear)
        self._handle = handle.options()  # starts following the replicas

    @property
    def ids(self) -> list[str]:
        """Of all live workers."""
        return list(self._workers)

    def _hear(self, workers: Mapping[str, roster.Member]) -> None:
        self._loop.call_soon_threadsafe(self._take_in, workers)

    def _take_in(self, workers: Mapping[str, roster.Member]) -> None:
        self._workers = workers
        # In an order of its own: otherwise all ingresses would begin with the same workers.
        self._on_change(random.sample(self.ids, len(workers)))

    async def run(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch`` over Serve."""
        worker = self._workers.get(worker_id)
        if worker is None:
            raise WorkerLostError(worker_id, was_running=False)
        try:
            result: BatchResult = await worker.call("run", batch)
        except RayTaskError:  # the worker is alive: its code raised
            raise
        except LOST as error:
            raise WorkerLostError(worker_id) from error
        return result

    async def status(self, worker_id: str, timeout_seconds: float) -> WorkerStatus:
        """What the worker reports of itself; if it is late or lost, a status that says it did not reply."""
        silent = WorkerStatus(worker_id, replied=False)
        if (worker := self._workers.get(worker_id)) is None:
            return silent
        try:
            async with asyncio.timeout(timeout_seconds):
                status: WorkerStatus = await worker.call("status")
        except (TimeoutError, *LOST):
            return silent
        except asyncio.CancelledError:
            if is_ours():
                raise
            return silent
        return status

"""The workers as an ingress reaches them: one handle a worker, and errors in the words of ``app``."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.errors import WorkerLostError
from app.job import Batch, BatchResult
from app.status import WorkerStatus
from deployments import members


class Workers:
    """Calls single workers by their id, and knows which there are."""

    def __init__(self, handle: DeploymentHandle[Any], on_change: Callable[[list[str]], None]) -> None:
        """``on_change`` is called in the running event loop with the ids of all live workers."""
        self.ids: list[str] = []
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._run_handles: dict[str, DeploymentHandle[Any]] = {}
        members.on_change(self._hear)
        self._handle = handle.options(method_name="run")  # starts following the replicas

    def _hear(self, worker_ids: list[str]) -> None:
        self._loop.call_soon_threadsafe(self._take_in, worker_ids)

    def _take_in(self, worker_ids: list[str]) -> None:
        self.ids = worker_ids
        self._run_handles = {
            worker_id: self._run_handles.get(worker_id) or self._handle.options(session_id=worker_id)
            for worker_id in worker_ids
        }
        # In an order of its own: else all ingresses would begin with the same workers.
        self._on_change(random.sample(worker_ids, len(worker_ids)))

    async def run(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch`` over Serve."""
        handle = self._run_handles.get(worker_id)
        if handle is None:
            raise WorkerLostError(worker_id, was_running=False)
        response = handle.remote(batch)
        try:
            result: BatchResult = await response
        except asyncio.CancelledError:
            # Cancelling the await alone would leave the worker computing.
            response.cancel()  # type: ignore[no-untyped-call]
            raise
        except (RayError, RayServeException) as error:
            if isinstance(error, RayTaskError):  # the worker lives: its code raised
                raise
            raise WorkerLostError(worker_id, was_running=isinstance(error, RayError)) from error
        return result

    async def status(self, worker_id: str, timeout_seconds: float) -> WorkerStatus:
        """The worker's account of itself; one that says it did not reply if it is late or lost."""
        response = None
        try:
            async with asyncio.timeout(timeout_seconds):
                response = self._handle.options(method_name="status", session_id=worker_id).remote()
                status: WorkerStatus = await response
                return status
        except (TimeoutError, RayError, RayServeException):
            if response is not None:
                response.cancel()  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not us: the worker is being stopped, and Serve says it so.
        return WorkerStatus(worker_id, replied=False)

"""FibonacciIngress: the HTTP API and the dispatcher, over the workers' handle."""

import asyncio
import contextvars
import gc
import os
import time
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.api import create_app
from app.dispatcher import Dispatcher
from app.job import Batch, BatchResult
from app.keys import ApiKeys
from app.settings import Settings
from app.status import PoolStatus, QueueStatus
from deployments import companions
from deployments.workers import Workers

POOL_AGE_SECONDS = 0.5
"""How long an answer about the pool is given again."""

GC_THRESHOLDS = (700, 10, 100)
"""All objects, those of every unfinished job among them, are walked ten times as seldom as usual: under overload that
held up the event loop for 70 to 150 ms every 6 s, and found no garbage."""


@serve.ingress()
class FibonacciIngress:
    """Serve calls ``__serve_build_asgi_app__`` in the replica, so ``app`` needs no Ray and nothing is pickled."""

    # Serve awaits it; it has to run in the event loop that the dispatcher will use.
    async def __init__(  # type: ignore[misc]
        self, settings: Settings, workers: DeploymentHandle[Any], keys: ApiKeys | None
    ) -> None:
        gc.set_threshold(*GC_THRESHOLDS)
        companions.start_guard()
        self._settings = settings
        self._keys = keys
        context = serve.get_replica_context()
        # As many as there were to be when this one started: Serve does not tell it when that alone changes.
        self._dispatcher = Dispatcher(self._run_batch, settings, num_ingresses=context.world_size or 1)
        self._workers = Workers(workers, self._dispatcher.set_workers)
        self._reaper = companions.start_reaper(os.getppid())
        self._ingresses = serve.get_deployment_handle(context.deployment, context.app_name)
        self._pool: asyncio.Task[PoolStatus] | None = None
        self._pool_asked_at = 0.0

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The late-bound application."""
        return create_app(self._dispatcher, self._settings, self._read_pool, self._keys)

    async def queue_status(self) -> QueueStatus:
        """This replica's queue."""
        dispatcher = self._dispatcher
        return QueueStatus(dispatcher.num_queued_jobs, dispatcher.num_unfinished_jobs, dispatcher.drain_seconds)

    async def drain(self) -> int:
        """Take no new jobs from now on; how many are unfinished."""
        self._dispatcher.draining = True
        return self._dispatcher.num_unfinished_jobs

    async def _run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        return await self._workers.run(worker_id, batch)

    async def _read_pool(self) -> PoolStatus:
        """Ask once for all who want to know at about the same time; in nobody's request context."""
        now = time.perf_counter()
        if self._pool is None or now - self._pool_asked_at > POOL_AGE_SECONDS:
            self._pool_asked_at = now
            self._pool = asyncio.create_task(self._ask_all(), context=contextvars.Context())
        return await asyncio.shield(self._pool)

    async def _ask_all(self) -> PoolStatus:
        seconds = self._settings.pool_reply_seconds
        workers, queues = await asyncio.gather(
            asyncio.gather(*(self._workers.status(w, seconds) for w in self._workers.ids)),
            self._ask_ingresses(seconds),
        )
        return PoolStatus(tuple(workers), queues)

    async def _ask_ingresses(self, timeout_seconds: float) -> tuple[QueueStatus, ...]:
        try:
            broadcast = self._ingresses.broadcast("queue_status")
            replies = await broadcast.results_async(timeout_s=timeout_seconds, return_exceptions=True)
        except (TimeoutError, RayError, RayServeException):
            replies = []
        answered = tuple(reply for reply in replies if isinstance(reply, QueueStatus))
        return answered or (await self.queue_status(),)

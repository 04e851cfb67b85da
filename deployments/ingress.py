"""FibonacciIngress: the HTTP API and the dispatcher, over the workers' handle."""

import asyncio
import contextvars
import gc
import logging
import math
import os
import time
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.dispatch.dispatcher import Dispatcher
from app.http.api import create_app
from app.job import Batch, BatchResult
from app.keys import ApiKeys, KnowsCallers
from app.observe import gauges
from app.observe.metrics import Sample
from app.observe.news import JobStory, News, Since
from app.settings import Settings
from app.status import DurableCounts, PoolStatus, QueueStatus
from deployments.config import gc_thresholds, serve_options
from deployments.config.watched_keys import WatchedKeys
from deployments.observers import LookingOn
from deployments.routing.calls import Workers
from deployments.routing.keeper_calls import KeeperCalls
from deployments.routing.sight import ServiceSight
from deployments.watchdogs import start

ASK_AGAIN_SECONDS = 0.5
"""How old an answer about the pool may be before the workers are asked again."""
POOL_AGE_SECONDS = 0.9
"""How old it may be and still be given meanwhile: under overload a worker may take a tenth of a second to reply."""

UNPROTECTED = (
    "Ray requires no token here: whoever reaches the gRPC ports of the ingress and the workers can run any code on "
    "them. Set RAY_AUTH_MODE=token before `ray start` on every node (SECURITY.md)"
)
logger = logging.getLogger("ray.serve")


@serve.ingress()
class FibonacciIngress:
    """Serve calls ``__serve_build_asgi_app__`` in the replica, so ``app`` needs no Ray and nothing is pickled."""

    # Serve awaits it; it has to run in the event loop that the dispatcher will use.
    async def __init__(  # type: ignore[misc]
        self,
        settings: Settings,
        workers: DeploymentHandle[Any],
        keys: ApiKeys | None,
        keeper: DeploymentHandle[Any] | None,
    ) -> None:
        """``keeper``: of durable jobs; None if they are off."""
        if wrong := serve_options.missing():  # `build` may have run on another node
            raise RayServeException(wrong)
        if not is_token_auth_enabled():
            logger.warning(UNPROTECTED)
        gc.set_threshold(*gc_thresholds.DISPATCHING)
        start.start_guard()
        self._settings = settings
        self._keys: KnowsCallers | None = keys
        if settings.api_keys_file is not None:
            self._keys = watched = WatchedKeys(settings.api_keys_file)
            self._watching = asyncio.create_task(watched.watch())
        context = serve.get_replica_context()
        self._durable = KeeperCalls(keeper, counts_seconds=settings.pool_reply_seconds) if keeper is not None else None
        # The number wanted when this one started: Serve does not say when that alone changes.
        num_ingresses = context.world_size or 1  # without the keeper, whose batches come after all others
        self._looking_on = LookingOn(settings)
        self._dispatcher = Dispatcher(
            self._run_batch, settings, num_ingresses=num_ingresses, observer=self._looking_on.observer
        )
        self._looking_on.start(self._gauges)
        self._workers = Workers(workers, self._dispatcher.set_workers)
        self._reaper = start.start_reaper(os.getppid())
        self._ingresses = serve.get_deployment_handle(context.deployment, context.app_name)
        self._asking: asyncio.Task[PoolStatus] | None = None
        self._asked_at = -math.inf
        self._pool: PoolStatus | None = None
        self._pool_at = -math.inf
        self._sight = ServiceSight(
            self._looking_on.timeline, self._dispatcher, self._ingresses, self._durable, self._read_pool
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The late-bound application."""
        return create_app(
            self._dispatcher, self._settings, self._read_pool, self._keys,
            durable=self._durable, sight=self._sight, traces=self._looking_on.traces,
        )  # fmt: skip

    async def __del__(self) -> None:
        """Serve awaits it once, when the jobs are over."""
        await self._looking_on.stop()

    async def queue_status(self) -> QueueStatus:
        """This replica's queue."""
        dispatcher = self._dispatcher
        return QueueStatus(dispatcher.num_queued_jobs, dispatcher.num_unfinished_jobs, dispatcher.drain_seconds)

    async def timeline_news(self, known: dict[str, Since]) -> News:
        """What this replica's dispatcher has done since what is known."""
        return self._looking_on.timeline.since(known, self._dispatcher)

    async def timeline_story(self, job_id: str, caller: str) -> JobStory | None:
        """One of its last jobs."""
        return self._looking_on.timeline.story(job_id, caller)

    async def _gauges(self) -> Iterable[Sample]:
        return gauges.of_dispatcher(self._dispatcher, self._settings)

    async def leave(self) -> int:
        """Answer ``/readyz`` with 503 from now on, but still accept jobs; returns how many are unfinished."""
        self._dispatcher.leaving = True
        return self._dispatcher.num_unfinished_jobs

    async def drain(self) -> int:
        """Accept no new jobs from now on; returns how many are unfinished."""
        self._dispatcher.draining = True
        return self._dispatcher.num_unfinished_jobs

    async def _run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        return await self._workers.run(worker_id, batch)

    async def _read_pool(self) -> PoolStatus:
        """The last answer, if it is not too old; otherwise ask, once for all callers."""
        now, asking = time.perf_counter(), self._asking
        if asking is None or (asking.done() and now - self._asked_at > ASK_AGAIN_SECONDS):
            self._asked_at = now
            asking = self._asking = asyncio.create_task(self._ask_all(), context=contextvars.Context())  # no request's
        if self._pool is not None and now - self._pool_at <= POOL_AGE_SECONDS:
            return self._pool
        return await asyncio.shield(asking)

    async def _ask_all(self) -> PoolStatus:
        asked_at, seconds = self._asked_at, self._settings.pool_reply_seconds
        workers, queues, durable = await asyncio.gather(
            asyncio.gather(*(self._workers.status(w, seconds) for w in self._workers.ids)),
            self._ask_ingresses(seconds),
            self._count_durable(),
        )
        self._pool, self._pool_at = PoolStatus(tuple(workers), queues, durable), asked_at
        return self._pool

    async def _ask_ingresses(self, timeout_seconds: float) -> tuple[QueueStatus, ...]:
        try:
            broadcast = self._ingresses.broadcast("queue_status")
            replies = await broadcast.results_async(timeout_s=timeout_seconds, return_exceptions=True)
        except (TimeoutError, RayError, RayServeException):
            replies = []
        answered = tuple(reply for reply in replies if isinstance(reply, QueueStatus))
        return answered or (await self.queue_status(),)

    async def _count_durable(self) -> DurableCounts | None:
        return None if self._durable is None else await self._durable.counts()

"""FibonacciKeeper: owns the durable jobs of its application. Serve runs one, and ingresses call it."""

import asyncio
import contextvars
import gc
import os
from collections.abc import Awaitable, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.durable.keeper import Keeper
from app.durable.records import Changes, JobView, NewJob, Page, State
from app.durable.service import Submitted
from app.errors import JobError
from app.job import Batch, BatchResult
from app.observe import gauges
from app.observe.metrics import Sample
from app.observe.news import JobStory, News, Since
from app.settings import Settings
from app.status import DurableCounts
from deployments.config import gc_thresholds
from deployments.config.jobs_store import store_of
from deployments.config.take_over import may_take_over
from deployments.observers import LookingOn
from deployments.routing.calls import Workers
from deployments.routing.keeper_calls import Failure
from deployments.watchdogs import start

INGRESS = "FibonacciIngress"
COUNT_SECONDS = 2.0
"""How long Serve may take to say how many there are: usually 25 ms, but its controller may be being replaced."""
T = TypeVar("T")


class DeposedKeeperError(Exception):
    """Another keeper has the jobs: this replica is of no more use."""


class FibonacciKeeper:
    """Dispatches durable jobs to the same workers as the ingresses do their own.

    Serve may have two for a moment, in a redeploy or on a node that is being drained. The store belongs to the one that
    took it last; the other finds that out at its next write, and stops. Methods return a ``JobError`` as a ``Failure``.
    """

    # Serve awaits it; it has to run in the event loop that the keeper will use.
    async def __init__(self, settings: Settings, workers: DeploymentHandle[Any]) -> None:  # type: ignore[misc]
        start.start_guard()
        gc.set_threshold(*gc_thresholds.DISPATCHING)
        application = serve.get_replica_context().app_name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Task[int] | None = None
        self._looking_on = LookingOn(settings, durable=True)
        self._keeper = Keeper(
            store_of(settings, os.environ),
            settings,
            self._run_batch,
            num_ingresses=1 + await count_ingresses(application),
            instance=instance_of(ray.get_runtime_context().get_session_name(), application),
            take_over=may_take_over(os.environ, application),
            observer=self._looking_on.observer,
        )
        self._workers = Workers(workers, self._keeper.set_workers)
        await self._keeper.start()
        self._looking_on.start(self._gauges)

    async def submit(self, new: NewJob) -> Submitted | Failure:
        """As ``app.durable.service.DurableJobs``, and so is each of the next six."""
        return await self._commit(self._keeper.submit(new))

    async def get(self, job_id: str, caller: str) -> JobView | Failure:
        return await answered(self._keeper.get(job_id, caller))

    async def cancel(self, job_id: str, caller: str) -> JobView | Failure:
        return await self._commit(self._keeper.cancel(job_id, caller))

    async def delete(self, job_id: str, caller: str) -> Failure | None:
        return await self._commit(self._keeper.delete(job_id, caller))

    async def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> Page | Failure:
        return await answered(self._keeper.page(caller, states, before, limit))

    async def changes(self, cursor: str, job_ids: Collection[str], wait_seconds: float) -> Changes | Failure:
        return await answered(self._keeper.changes(cursor, job_ids, wait_seconds))

    async def counts(self) -> DurableCounts:
        return await self._keeper.counts()

    async def timeline_news(self, known: dict[str, Since]) -> News:
        """What its dispatching has done since what is known."""
        return self._looking_on.timeline.since(known, self._keeper)

    async def timeline_story(self, job_id: str, caller: str) -> JobStory | None:
        """One of its last jobs."""
        return self._looking_on.timeline.story(job_id, caller)

    async def _gauges(self) -> Iterable[Sample]:
        return gauges.of_durable(await self._keeper.counts())

    async def close(self) -> int:
        """Write down how far everything is and let go of the store; returns how many jobs go on with the next keeper.

        The launcher calls it before it ends Serve, which may not wait for ``__del__``. A store that was let go of can
        be opened at once; otherwise the next start would have to wait until this keeper can be taken for dead.
        """
        if self._closing is None:
            self._closing = self._in_a_task(self._keeper.close())
        return await asyncio.shield(self._closing)

    async def check_health(self) -> None:
        """Serve calls it, and replaces a keeper that raises three times in a row."""
        if self._keeper.deposed:
            raise DeposedKeeperError("it cannot go on: its log says why")

    async def __del__(self) -> None:
        """Serve awaits it once, when the calls are over: the next keeper waits for the store."""
        await self.close()

    async def _run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        return await self._workers.run(worker_id, batch)

    async def _commit(self, change: Coroutine[Any, Any, T]) -> T | Failure:
        """Make the change, also if the call for it is cancelled meanwhile."""
        return await asyncio.shield(self._in_a_task(answered(change)))

    def _in_a_task(self, change: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(change, context=contextvars.Context())  # no call's: Serve cancels what is in one
        self._tasks.add(task)  # the event loop alone would let go of it
        task.add_done_callback(self._tasks.discard)
        return task


async def answered(work: Awaitable[T]) -> T | Failure:
    """What the work returns, or the job's error that it raises."""
    try:
        return await work
    except JobError as error:
        return Failure(error)


def instance_of(session: str, application: str) -> str:
    """The name of the running service: the same for each keeper of an application, whatever killed the one before.

    Ray's public name for one life of a cluster, with the time of its start in it: another start of the service, here or
    elsewhere, has another. Neither a host's name nor a process's id would do, which may be those of before.
    """
    return f"{session}/{application}"


async def count_ingresses(application: str) -> int:
    """How many ingresses share the workers with the keeper: at least one, and one if Serve does not say."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            status = await asyncio.to_thread(serve.status)
        return max(1, sum(status.applications[application].deployments[INGRESS].replica_states.values()))
    except (KeyError, TimeoutError, RayError, RayServeException):
        return 1

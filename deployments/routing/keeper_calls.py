"""How an ingress calls the keeper of durable jobs, with errors in the words of ``app``."""

import asyncio
import contextvars
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grpc.aio import AioRpcError  # type: ignore[import-untyped]
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.durable.records import Changes, JobView, NewJob, Page, State
from app.durable.service import Submitted
from app.errors import JobError, JobsUnavailableError
from app.observe.news import JobStory, News, Since
from app.status import DurableCounts
from deployments.routing.cancelling import is_ours

CALL_SECONDS = 2.0
"""A handle waits without end while there is no replica."""
REPLACED = "The keeper of durable jobs is being replaced, or does not answer; what it has accepted is safe."
LOST = (TimeoutError, RayError, RayServeException, AioRpcError)
"""What a call raises if the keeper died, is stopping or cannot be reached, or did not answer in time."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the keeper returns it. Raised there, Serve would wrap it, log it, and hand on another class."""

    error: JobError


class KeeperCalls:
    """``app.durable.service.DurableJobs`` over Serve.

    A call goes on to its end although its caller leaves: Serve cancels the calls that a request has made when the
    request's client leaves, and a job that was just accepted has to be written all the same. Nothing is called twice
    here. Serve may send a call to the next keeper if the one before died with it; jobs have ids, so that is safe.
    """

    def __init__(self, handle: DeploymentHandle[Any], *, counts_seconds: float = CALL_SECONDS) -> None:
        """``counts_seconds``: how long ``counts`` may take, which others wait for."""
        self._keeper = handle.options()  # starts following the replicas
        self._counts_seconds = counts_seconds
        self._calls: set[asyncio.Task[Any]] = set()

    async def submit(self, new: NewJob) -> Submitted:
        """As ``DurableJobs`` says, and so is each of the others."""
        submitted: Submitted = await self._call(CALL_SECONDS, "submit", new)
        return submitted

    async def get(self, job_id: str, caller: str) -> JobView:
        view: JobView = await self._call(CALL_SECONDS, "get", job_id, caller)
        return view

    async def cancel(self, job_id: str, caller: str) -> JobView:
        view: JobView = await self._call(CALL_SECONDS, "cancel", job_id, caller)
        return view

    async def delete(self, job_id: str, caller: str) -> None:
        await self._call(CALL_SECONDS, "delete", job_id, caller)

    async def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> Page:
        page: Page = await self._call(CALL_SECONDS, "page", caller, states, before, limit)
        return page

    async def changes(self, cursor: str, job_ids: Collection[str], wait_seconds: float) -> Changes:
        seconds = wait_seconds + CALL_SECONDS
        changes: Changes = await self._call(seconds, "changes", cursor, tuple(job_ids), wait_seconds)
        return changes

    async def counts(self) -> DurableCounts:
        try:
            counts: DurableCounts = await self._call(self._counts_seconds, "counts")
        except JobsUnavailableError as error:
            return DurableCounts(available=False, reason=error.reason)
        return counts

    async def timeline_news(self, known: dict[str, Since]) -> News:
        """What the keeper has done since what is known."""
        news: News = await self._call(CALL_SECONDS, "timeline_news", known)
        return news

    async def timeline_story(self, job_id: str, caller: str) -> JobStory | None:
        """One of its last jobs."""
        story: JobStory | None = await self._call(CALL_SECONDS, "timeline_story", job_id, caller)
        return story

    async def _call(self, seconds: float, method: str, *arguments: Any) -> Any:
        """What the keeper returns, or the error that it returns, raised."""
        # A task of its own, in an empty context: in the request's, Serve would count it as one of its calls.
        call = asyncio.create_task(self._ask(seconds, method, *arguments), context=contextvars.Context())
        self._calls.add(call)  # the event loop alone would let go of it
        call.add_done_callback(self._calls.discard)
        answer = await asyncio.shield(call)
        if isinstance(answer, Failure):
            raise answer.error
        return answer

    async def _ask(self, seconds: float, method: str, *arguments: Any) -> Any:
        """What the keeper returns, or why it cannot be had."""
        response = getattr(self._keeper, method).remote(*arguments)
        try:
            async with asyncio.timeout(seconds):
                return await response
        except RayTaskError:  # the keeper is alive: its code raised what it should not
            raise
        except LOST:
            response.cancel()  # if it waits for a keeper still, it must not be sent to the next one later
        except asyncio.CancelledError:
            if is_ours():
                raise
        return Failure(JobsUnavailableError(REPLACED))

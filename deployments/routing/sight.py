"""What those who watch one ingress are shown of all of them, and of the keeper: ``app.observe.sight`` over Serve."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from ray.serve.handle import DeploymentHandle

from app.errors import JobsUnavailableError
from app.observe.news import JobStory, Since
from app.observe.timeline import Shown, Timeline
from app.observe.watching import Gathered, Heard, Watching
from app.status import PoolStatus
from deployments.routing.cancelling import is_ours
from deployments.routing.keeper_calls import LOST, KeeperCalls

ASK_SECONDS = 0.4
"""How long the others may take: they are asked twice a second."""
UNLISTED_ROUNDS = 2


class Reply(NamedTuple):
    """What somebody has answered."""

    answer: Any
    answered_at: float
    """In the middle between call and return, by this process's clock."""


class ServiceSight:
    """Asks every ingress and the keeper, itself without a call."""

    def __init__(
        self,
        timeline: Timeline,
        shown: Shown,
        ingresses: DeploymentHandle[Any],
        keeper: KeeperCalls | None,
        read_pool: Callable[[], Awaitable[PoolStatus]],
    ) -> None:
        """``timeline`` and ``shown``: this ingress's own."""
        self._timeline = timeline
        self._shown = shown
        self._ingresses = ingresses
        self._keeper = keeper
        self._watching = Watching(self._gather, read_pool)
        self._num_unlisted = 0
        """For how many rounds this ingress has not answered itself."""

    @property
    def watching(self) -> Watching:
        """As ``app.observe.sight.Sight`` says."""
        return self._watching

    async def story(self, job_id: str, caller: str) -> JobStory | None:
        """The same."""
        if (story := self._timeline.story(job_id, caller)) is None:
            others = await self._ask("timeline_story", job_id, caller)
            story = next((reply.answer for reply in others if reply is not None and reply.answer is not None), None)
        if story is None and self._keeper is not None:
            try:
                story = await self._keeper.timeline_story(job_id, caller)
            except JobsUnavailableError:
                return None
        return None if story is None else story.shifted(self._watching.now - story.now)

    async def _gather(self, known: Mapping[str, Since]) -> Gathered:
        own = self._timeline.since(known, self._shown)
        # This one asks itself too, but has nothing more to tell.
        ask = dict(known) | {own.source: Since(own.batches_at, own.jobs_at)}
        ingresses, keeper = await asyncio.gather(self._ask("timeline_news", ask), self._ask_keeper(ask))
        # Serve tells a replica nothing before it stops it, and waits for its requests; but it no longer lists it.
        listed = {reply.answer.source for reply in ingresses if reply is not None}
        self._num_unlisted = self._num_unlisted + 1 if listed and own.source not in listed else 0
        self._watching.closing = self._num_unlisted >= UNLISTED_ROUNDS
        replies = [*ingresses, *keeper]
        heard = {reply.answer.source: Heard(reply.answer, reply.answered_at) for reply in replies if reply is not None}
        return Gathered([*(heard | {own.source: Heard(own, own.now)}).values()], replies.count(None))

    async def _ask_keeper(self, known: dict[str, Since]) -> list[Reply | None]:
        return [] if self._keeper is None else [await _timed(self._keeper.timeline_news(known))]

    async def _ask(self, method: str, *arguments: Any) -> list[Reply | None]:
        """What each ingress answers, this one too; None of those that take too long, and once if there is no list."""
        broadcast = self._ingresses.broadcast(method, *arguments)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                # Its public method answers nothing at all if one of them is late.
                calls = await broadcast._fetch_replica_results_async()  # noqa: SLF001 (nothing public gives the calls one by one)
        except LOST:
            return [None]
        answers = (call.get_async() for call in calls)  # type: ignore[no-untyped-call]
        return await asyncio.gather(*map(_timed, answers))


async def _timed(call: Awaitable[Any]) -> Reply | None:
    """What it answers; None if it fails, or takes too long."""
    asked_at = time.perf_counter()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            answer = await call
    except (JobsUnavailableError, *LOST):
        return None
    except asyncio.CancelledError:
        if is_ours():
            raise
        return None
    return Reply(answer, (asked_at + time.perf_counter()) / 2)

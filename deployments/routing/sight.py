"""What those who watch one ingress are shown of all of them, and of the keeper: ``app.observe.sight`` over Serve."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from app.errors import JobsUnavailableError
from app.observe.news import JobStory, News, Since
from app.observe.timeline import Shown, Timeline
from app.observe.watching import Heard, Watching
from app.status import PoolStatus
from deployments.routing.keeper_calls import KeeperCalls

ASK_SECONDS = 0.4
"""How long the others may take: they are asked twice a second."""


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

    @property
    def watching(self) -> Watching:
        """As ``app.observe.sight.Sight`` says."""
        return self._watching

    async def story(self, job_id: str, caller: str) -> JobStory | None:
        """The same."""
        if (story := self._timeline.story(job_id, caller)) is None:
            others = await self._ask("timeline_story", job_id, caller)
            story = next((each for each in others if each is not None), None)
        if story is None and self._keeper is not None:
            try:
                story = await self._keeper.timeline_story(job_id, caller)
            except JobsUnavailableError:
                return None
        return None if story is None else story.shifted(self._watching.now - story.now)

    async def _gather(self, known: Mapping[str, Since]) -> Sequence[Heard]:
        asked_at = time.perf_counter()
        others, keeper = await asyncio.gather(self._ask("timeline_news", dict(known)), self._ask_keeper(known))
        answered_at = time.perf_counter()
        middle = (asked_at + answered_at) / 2
        own = self._timeline.since(known, self._shown)
        # Serve tells a replica nothing before it stops it, and waits for its requests; but it no longer lists it.
        self._watching.closing = bool(others) and own.source not in {news.source for news in others}
        heard = {news.source: Heard(news, middle) for news in (*others, *keeper)}
        return list((heard | {own.source: Heard(own, own.now)}).values())

    async def _ask_keeper(self, known: Mapping[str, Since]) -> list[News]:
        if self._keeper is None:
            return []
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return [await self._keeper.timeline_news(dict(known))]
        except (TimeoutError, JobsUnavailableError):
            return []

    async def _ask(self, method: str, *arguments: Any) -> list[Any]:
        """What each ingress answers, this one too; nothing if it takes too long."""
        try:
            broadcast = self._ingresses.broadcast(method, *arguments)
            replies = await broadcast.results_async(timeout_s=ASK_SECONDS, return_exceptions=True)
        except (TimeoutError, RayError, RayServeException):
            return []
        return [reply for reply in replies if not isinstance(reply, BaseException)]

"""What an ingress makes of the answers of all ingresses and of the keeper, and of those that do not come."""

import asyncio
from typing import Any, cast

import pytest
from ray.exceptions import RayActorError

from app.dispatch.dispatcher import Dispatcher
from app.errors import JobsUnavailableError
from app.observe.news import News, Since
from app.observe.timeline import Timeline
from app.status import PoolStatus
from deployments.routing import sight
from deployments.routing.keeper_calls import KeeperCalls
from deployments.routing.sight import ServiceSight
from tests.http.client import compute_batch


class Call:
    """The call of one ingress: it answers, raises, or hangs."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def get_async(self) -> object:
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


class Ingresses:
    """A handle, whose list a test changes."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.asked: list[dict[str, Since]] = []
        self.failure: Exception | None = None

    def broadcast(self, _method: str, known: dict[str, Since]) -> "Ingresses":
        self.asked.append(known)
        return self

    async def _fetch_replica_results_async(self) -> list[Call]:
        if self.failure is not None:
            raise self.failure
        return [Call(each) for each in self.calls]


class Keeper:
    """The keeper, if it is there."""

    def __init__(self, news: News | None) -> None:
        self.news = news

    async def timeline_news(self, _known: dict[str, Since]) -> News:
        if self.news is None:
            raise JobsUnavailableError("it is being replaced")
        return self.news


async def no_pool() -> PoolStatus:
    return PoolStatus((), ())


class Scene:
    """One ingress, and what the others say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sight, "ASK_SECONDS", 0.05)
        self.shown = Dispatcher(compute_batch)
        self.own, self.other = Timeline(), Timeline()
        self.ingresses, self.keeper = Ingresses(), Keeper(Timeline().since({}, self.shown))
        handle, keeper = cast("Any", self.ingresses), cast("KeeperCalls", self.keeper)
        self.sight = ServiceSight(self.own, self.shown, handle, keeper, no_pool)

    def news(self, timeline: Timeline) -> News:
        return timeline.since({}, self.shown)

    async def gathered(self) -> tuple[set[str], int]:
        found = await self.sight._gather({})
        return {each.news.source for each in found.heard}, found.num_late


def test_one_that_is_late_is_counted_and_keeps_nobody_else_from_being_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        own, other = scene.news(scene.own), scene.news(scene.other)
        for missing in (None, RayActorError(), asyncio.CancelledError()):
            scene.ingresses.calls = [own, other, missing]
            assert scene.keeper.news is not None
            assert await scene.gathered() == ({own.source, other.source, scene.keeper.news.source}, 1)
        scene.keeper.news = None
        assert await scene.gathered() == ({own.source, other.source}, 2)

    asyncio.run(main())


def test_it_asks_itself_for_nothing_more_than_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        own = scene.news(scene.own)
        scene.ingresses.calls = [own]
        await scene.gathered()
        assert scene.ingresses.asked == [{own.source: Since(own.batches_at, own.jobs_at)}]

    asyncio.run(main())


def test_one_that_serve_no_longer_lists_is_being_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        scene.ingresses.calls = [scene.news(scene.other)]
        await scene.gathered()
        assert not scene.sight.watching.closing  # it may only have been late
        await scene.gathered()
        assert scene.sight.watching.closing
        scene.ingresses.calls.append(scene.news(scene.own))
        await scene.gathered()
        assert not scene.sight.watching.closing

    asyncio.run(main())


@pytest.mark.parametrize("listed", [[], [None]])
def test_one_that_cannot_know_is_not(monkeypatch: pytest.MonkeyPatch, listed: list[None]) -> None:
    """The keeper alone answers: that says nothing of the ingresses."""

    async def main() -> None:
        scene = Scene(monkeypatch)
        scene.ingresses.calls = listed
        for _ in range(3):
            await scene.gathered()
        assert not scene.sight.watching.closing
        scene.ingresses.failure = TimeoutError()
        for _ in range(3):
            _, num_late = await scene.gathered()
        assert num_late == 1
        assert not scene.sight.watching.closing

    asyncio.run(main())

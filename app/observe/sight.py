"""What those who watch one ingress are shown of the whole service."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from app.observe.news import JobStory, Since
from app.observe.timeline import Shown, Timeline
from app.observe.watching import Gathered, Heard, Watching
from app.status import PoolStatus


class Sight(Protocol):
    """Everything that the page needs of whoever runs the service."""

    @property
    def watching(self) -> Watching:
        """What all dispatchers tell."""
        ...

    async def story(self, job_id: str, caller: str) -> JobStory | None:
        """The caller's job, wherever it was dispatched; its times by this process's wall clock."""
        ...


class OwnSight:
    """Of a service that is one dispatcher, in this process."""

    def __init__(
        self,
        timeline: Timeline,
        shown: Shown,
        read_pool: Callable[[], Awaitable[PoolStatus]],
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``timeline`` is what the dispatcher, ``shown``, tells; ``clock`` is its own."""
        self._clock = clock
        self._timeline = timeline
        self._shown = shown
        self._watching = Watching(self._gather, read_pool, clock, wall_clock)

    @property
    def watching(self) -> Watching:
        """As ``Sight`` says."""
        return self._watching

    async def story(self, job_id: str, caller: str) -> JobStory | None:
        """The same."""
        story = self._timeline.story(job_id, caller)
        return None if story is None else story.shifted(self._watching.now - story.now)

    async def _gather(self, known: Mapping[str, Since]) -> Gathered:
        return Gathered([Heard(self._timeline.since(known, self._shown), self._clock())])

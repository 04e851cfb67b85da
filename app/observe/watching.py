"""What a whole service does, gathered for those who watch: asked for twice a second, and by nobody otherwise."""

import asyncio
import contextlib
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from app.observe.news import News, Since, ToldBatch, ToldJob, ToldRunning, Totals
from app.observe.timeline import MAX_BATCHES, MAX_JOBS
from app.status import PoolStatus

PERIOD_SECONDS = 0.5
FORGET_SECONDS = 60.0
"""How long what a source told is kept after the source has gone."""

SILENT_SECONDS = 10.0
"""How long a source that does not answer is said to be silent: then it is gone."""

Gather = Callable[[Mapping[str, Since]], Awaitable[Sequence["Heard"]]]
"""Asks every dispatcher for what is new, given how far each has been heard; those that are late are left out."""
T = TypeVar("T", ToldBatch, ToldJob)


class Heard(NamedTuple):
    """What one dispatcher has told."""

    news: News
    heard_at: float
    """When it said ``now``, by this process's clock: the middle of the round trip."""


@dataclass(slots=True)
class Numbered(Generic[T]):
    """The last items of an endless list."""

    items: deque[T]
    last: int = 0
    """The number of the last one."""

    def extend(self, items: Sequence[T], last: int) -> None:
        """More of them, the last of which has this number."""
        self.items.extend(items)
        self.last = last

    def after(self, number: int) -> tuple[list[T], int]:
        """Those after this number, and how many of them are forgotten."""
        wanted = max(0, self.last - number)
        found = list(self.items)[-wanted:] if wanted else []
        return found, wanted - len(found)


@dataclass(slots=True)
class Source:
    """One dispatcher, as it has been heard. All times are by this process's wall clock, in seconds since 1970."""

    id: str
    batches: Numbered[ToldBatch] = field(default_factory=lambda: Numbered(deque(maxlen=MAX_BATCHES)))
    jobs: Numbered[ToldJob] = field(default_factory=lambda: Numbered(deque(maxlen=MAX_JOBS)))
    running: list[ToldRunning] = field(default_factory=list)
    unfinished: list[ToldJob] = field(default_factory=list)
    totals: Totals = field(default_factory=lambda: Totals({}, 0, 0.0))
    heard_at: float = 0.0

    @property
    def since(self) -> Since:
        """How far it has been heard."""
        return Since(self.batches.last, self.jobs.last)

    def hear(self, news: News, shift: float, heard_at: float) -> None:
        """Take in what it has told; ``shift``: what makes its clock this process's wall clock."""
        self.batches.extend([_batch(batch, shift) for batch in news.batches], news.batches_at)
        self.jobs.extend([job.shifted(shift) for job in news.jobs], news.jobs_at)
        self.running = [running._replace(began_at=running.began_at + shift) for running in news.running]
        self.unfinished = [job.shifted(shift) for job in news.unfinished]
        self.totals = news.totals
        self.heard_at = heard_at


def _batch(batch: ToldBatch, shift: float) -> ToldBatch:
    return batch._replace(began_at=batch.began_at + shift, ended_at=batch.ended_at + shift)


class Watching:
    """One for each ingress: those who watch there share what it is told."""

    def __init__(
        self,
        gather: Gather,
        read_pool: Callable[[], Awaitable[PoolStatus]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``clock``: the one by which ``Heard.heard_at`` is told."""
        self._clock = clock
        self._gather = gather
        self._read_pool = read_pool
        self.sources: dict[str, Source] = {}
        """By their ids."""
        self.num_silent = 0
        self.closing = False
        """Whether this ingress is being replaced: those who watch should go to another."""
        self.pool: PoolStatus | None = None
        self.wall_ahead = time.time() - clock()
        """What makes this process's clock a wall clock: fixed, so that no bar moves."""
        self.num_ticks = 0
        """It never goes back: whoever begins to watch waits for the next one."""
        self._num_watching = 0
        self._ticked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock() + self.wall_ahead

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return any(source.running or source.unfinished for source in self.sources.values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody watches: as long as anybody does, everybody is asked."""
        self._num_watching += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())  # no request's
        try:
            yield
        finally:
            self._num_watching -= 1

    async def tick(self, after: int) -> int:
        """Wait until more ticks than this have been; returns how many."""
        while self.num_ticks <= after:
            await self._ticked.wait()
        return self.num_ticks

    async def _run(self) -> None:
        """Ask until nobody watches any more."""
        try:
            while self._num_watching:
                began_at = self._clock()
                with contextlib.suppress(Exception):  # whoever fails is silent; the next round asks again
                    await self._ask()
                self.num_ticks += 1
                ticked, self._ticked = self._ticked, asyncio.Event()
                ticked.set()
                await asyncio.sleep(max(0.05, PERIOD_SECONDS - (self._clock() - began_at)))
        finally:
            self._task = None
            self.sources.clear()  # by the next time it is old

    async def _ask(self) -> None:
        known = {id_: source.since for id_, source in self.sources.items()}
        heard, self.pool = await asyncio.gather(self._gather(known), self._read_pool())
        for each in heard:
            news = each.news
            source = self.sources.setdefault(news.source, Source(news.source))
            source.hear(news, each.heard_at - news.now + self.wall_ahead, self.now)
        told = {each.news.source for each in heard}
        unheard = {id_: self.now - source.heard_at for id_, source in self.sources.items() if id_ not in told}
        self.num_silent = sum(seconds <= SILENT_SECONDS for seconds in unheard.values())
        for id_, seconds in unheard.items():
            self.sources[id_].running = []  # nobody knows
            self.sources[id_].unfinished = []
            if seconds > FORGET_SECONDS:
                del self.sources[id_]

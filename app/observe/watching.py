"""What a whole service does, gathered for those who watch: asked for twice a second, and by nobody otherwise."""

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from app.observe.news import News, Since, ToldBatch, ToldJob, ToldRunning, Totals
from app.observe.timeline import MAX_BATCHES, MAX_JOBS
from app.status import PoolStatus

PERIOD_SECONDS = 0.5
MOST_AT_ONCE = 4_000
"""Items for one frame: more would take long to be made, and be too much to be drawn."""
UNWATCHED_SECONDS = 10.0
"""How long after the last one has left it is remembered what was heard: it would be asked for anew."""
FORGET_SECONDS = 60.0
"""How long what a source told is kept after the source has gone."""

JUMP_SECONDS = 2.0
"""By how much the wall clock may drift: beyond it, what was heard is told anew."""
STEADY_SECONDS = 0.05
"""By how much a source's clock may seem to have moved: it is the way of its answer that takes longer or less long."""
SILENT_SECONDS = 10.0
"""How long a source that does not answer is said to be silent: then it is gone."""

Gather = Callable[[Mapping[str, Since]], Awaitable["Gathered"]]
"""Asks every dispatcher for what is new, given how far each has been heard."""
T = TypeVar("T", ToldBatch, ToldJob)
logger = logging.getLogger("ray.serve")  # as in app.http.problems


class Heard(NamedTuple):
    """What one dispatcher has told."""

    news: News
    heard_at: float
    """When it said ``now``, by this process's clock: the middle of the round trip."""


class Gathered(NamedTuple):
    """What all have told who answered in time."""

    heard: Sequence[Heard]
    num_late: int = 0
    """How many have not."""


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
        """Those after this number, and how many of them are forgotten, or too old to be told in one go."""
        wanted = max(0, self.last - number)
        found = list(islice(reversed(self.items), min(wanted, MOST_AT_ONCE)))
        return found[::-1], wanted - len(found)


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
    shift: float = 0.0
    """What makes its clock this process's wall clock."""

    @property
    def since(self) -> Since:
        """How far it has been heard."""
        return Since(self.batches.last, self.jobs.last)

    def hear(self, news: News, shift: float, heard_at: float) -> None:
        """Take in what it has told; ``shift`` as it seems to be now."""
        if abs(shift - self.shift) > STEADY_SECONDS:
            self.shift = shift
        shift = self.shift
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
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock``: the one by which ``Heard.heard_at`` is told."""
        self._clock = clock
        self._wall_clock = wall_clock
        self._gather = gather
        self._read_pool = read_pool
        self.sources: dict[str, Source] = {}
        """By their ids."""
        self.num_silent = 0
        self.closing = False
        """Whether this ingress is being replaced: those who watch should go to another."""
        self.pool: PoolStatus | None = None
        self.wall_ahead = wall_clock() - clock()
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
                try:
                    await self._ask()
                except Exception:  # whatever it is, those who watch are told that nobody answers
                    if not self.num_silent:
                        logger.exception("the page is told nothing")
                    self.num_silent = max(1, len(self.sources))
                self.num_ticks += 1
                ticked, self._ticked = self._ticked, asyncio.Event()
                ticked.set()
                await asyncio.sleep(max(0.05, PERIOD_SECONDS - (self._clock() - began_at)))
        finally:
            self._task = None
            self.closing = False
            asyncio.get_running_loop().call_later(UNWATCHED_SECONDS, self._forget, self.num_ticks)

    def _forget(self, num_ticks: int) -> None:
        """Nobody has watched since so many ticks: by the next time it is old."""
        if self._task is None and self.num_ticks == num_ticks:
            self.sources.clear()

    async def _ask(self) -> None:
        wall_ahead = self._wall_clock() - self._clock()
        if abs(wall_ahead - self.wall_ahead) > JUMP_SECONDS:  # the machine slept, or its clock was put right
            self.wall_ahead = wall_ahead
            self.sources.clear()
        known = {id_: source.since for id_, source in self.sources.items()}
        gathered, self.pool = await asyncio.gather(self._gather(known), self._read_pool())
        for each in gathered.heard:
            news = each.news
            source = self.sources.setdefault(news.source, Source(news.source))
            source.hear(news, each.heard_at - news.now + self.wall_ahead, self.now)
        told = {each.news.source for each in gathered.heard}
        unheard = {id_: self.now - source.heard_at for id_, source in self.sources.items() if id_ not in told}
        num_silent = sum(seconds <= SILENT_SECONDS for seconds in unheard.values())
        self.num_silent = max(num_silent, gathered.num_late)
        for id_, seconds in unheard.items():
            self.sources[id_].running = []  # nobody knows
            self.sources[id_].unfinished = []
            if seconds > FORGET_SECONDS:
                del self.sources[id_]

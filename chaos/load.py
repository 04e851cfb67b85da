"""Load on the service from another thread: jobs at a fixed rate, or as fast as so many callers can."""

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvloop

from chaos.caller import UnansweredError, post
from chaos.jobs import JobSpec, mixed_jobs
from chaos.record import OK, Record, Request

PATIENCE_SECONDS = 310.0
"""How long a caller waits: longer than the service's own deadline, or a lost answer might only be a late one."""


class _Load:
    """Posts jobs and keeps the record; times by its own clock, which begins with it."""

    def __init__(self, url: str, jobs: Iterator[JobSpec]) -> None:
        self.record = Record()
        self.begun = time.perf_counter()
        self._url = url
        self._jobs = jobs
        self._numbers = itertools.count()

    @property
    def now(self) -> float:
        return time.perf_counter() - self.begun

    async def post_next(self, due: float) -> None:
        """Post the next job and wait for its outcome."""
        request = Request(next(self._numbers), next(self._jobs), due)
        self.record.requests.append(request)
        request.sent = self.now
        try:
            answer = await post(self._url, request.job.body, PATIENCE_SECONDS)
        except UnansweredError as error:
            request.ended = self.now
            request.failed(str(error))
        else:
            request.ended = self.now
            request.answered(answer.status, answer.headers, answer.json() if answer.status == OK else None)

    async def at_rate(self, rate: float, seconds: float, stop: threading.Event) -> None:
        """An open loop: evenly spaced, whether or not the earlier ones are answered."""
        async with asyncio.TaskGroup() as posted:
            for number in itertools.count():
                due = number / rate
                await asyncio.sleep(max(0.0, due - self.now))
                if stop.is_set() or due > seconds:
                    return
                posted.create_task(self.post_next(due))

    async def by_callers(self, callers: int, seconds: float) -> None:
        """A closed loop: each caller posts its next job when the last one is answered."""

        async def call() -> None:
            while self.now < seconds:
                await self.post_next(self.now)

        await asyncio.gather(*(call() for _ in range(callers)))

    async def at_once(self, count: int) -> None:
        """So many jobs at once."""
        await asyncio.gather(*(self.post_next(0.0) for _ in range(count)))


@contextmanager
def open_loop(url: str, rate: float, seconds: float = math.inf, job: JobSpec | None = None) -> Iterator[Record]:
    """Post ``rate`` jobs a second, mixed ones or always this, while the block runs, but for so long at most.

    After the block every request of the record has its outcome.
    """
    load = _Load(url, _jobs(job))
    stop = threading.Event()
    thread = threading.Thread(target=lambda: uvloop.run(load.at_rate(rate, seconds, stop)), daemon=True)
    thread.start()
    try:
        yield load.record
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS + 10)


def closed_loop(url: str, callers: int, seconds: float, job: JobSpec | None = None) -> Record:
    """So many callers for so long, each with one job at a time: mixed jobs, or always this one."""
    load = _Load(url, _jobs(job))
    uvloop.run(load.by_callers(callers, seconds))
    return load.record


def all_at_once(url: str, jobs: Sequence[JobSpec]) -> Record:
    """Each job once, all posted together; the record has them in this order."""
    load = _Load(url, iter(jobs))
    uvloop.run(load.at_once(len(jobs)))
    return load.record


def _jobs(job: JobSpec | None) -> Iterator[JobSpec]:
    return mixed_jobs() if job is None else itertools.repeat(job)

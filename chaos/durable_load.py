"""Load of durable jobs from another thread: accepted under keys, watched until they are over, some cancelled."""

import asyncio
import itertools
import math
import random
import secrets
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from chaos.durable_client import DurableClient, NeverAcceptedError
from chaos.history import History, Seen
from chaos.jobs import GOLDEN, PLASTIC, JobSpec

LEAST_SIZE, GREATEST_SIZE = 1_000, 300_000
LEAST_COST, MOST_COST = 0.01, 1.0
"""Core-seconds of a mixed job, by the cost model's defaults: a fifth of one in the mean."""
MOST_SEQUENCES = 2_000
TWICE_AT_ONCE, AGAIN, CANCELLED = 5, 3, 7
"""Each so-many-th job is submitted twice at the same moment, once more later, or cancelled."""
CANCEL_SECONDS = 2.0
"""Within so long after it was accepted."""
PATIENCE_SECONDS = 120.0
STUCK_SECONDS = 60.0
"""So long after its time was up a client is taken for stuck."""

T = TypeVar("T")


def mixed_durable_jobs() -> Iterator[JobSpec]:
    """Endless: costs and sizes of terms evenly over their orders of magnitude."""
    for number in itertools.count(1):
        size = LEAST_SIZE * math.pow(GREATEST_SIZE / LEAST_SIZE, number * GOLDEN % 1.0)
        cost = LEAST_COST * math.pow(MOST_COST / LEAST_COST, number * PLASTIC % 1.0)
        sequences = round(cost / JobSpec(round(size), 1).cost)
        yield JobSpec(round(size), min(max(1, sequences), MOST_SEQUENCES))


class DurableLoad:
    """Clients in a thread of their own. Its methods are called from another one."""

    def __init__(self, url: str, rate: float) -> None:
        self.history = History()
        self._rate = rate
        self._client = DurableClient(url, self.history, PATIENCE_SECONDS)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = threading.Event()
        self._lives: set[asyncio.Task[None]] = set()
        self._moments = random.Random(1)  # noqa: S311 (not for secrets)
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count()

    @property
    def url(self) -> str:
        """Where the clients send their requests from now on."""
        return self._client.url

    @url.setter
    def url(self, url: str) -> None:
        self._client.url = url

    def post(self, job: JobSpec) -> Seen:
        """A job beside the others, once it is accepted; it is watched like them. Raises ``NeverAcceptedError``."""
        return self._wait(self._accepted(job, self._new_key()))

    def look(self, job: JobSpec, job_id: str) -> Seen | None:
        """The job as it is now; None if nobody says."""
        return self._wait(self._client.read(job, job_id)).seen

    def cancel(self, job: JobSpec, job_id: str) -> Seen:
        """The job, cancelled."""
        return self._wait(self._client.cancel(job, job_id))

    def settled(self, seconds: float) -> float:
        """Submit no more, and wait until every job is over, then look at each again; how long it took, or infinity."""
        begun = time.monotonic()
        self._client.patience_seconds = seconds
        if not self._wait(self._all_over(seconds), seconds):
            return math.inf
        took = time.monotonic() - begun
        self._wait(self._client.look_at_all(), seconds)
        return took

    async def run(self) -> None:
        """Submit at the rate, until the end."""
        self._loop = asyncio.get_running_loop()
        self._running.set()
        begun = time.monotonic()
        jobs = mixed_durable_jobs()
        for number in itertools.count():
            pause = begun + number / self._rate - time.monotonic() if self._rate else None
            try:
                await asyncio.wait_for(self._stop.wait(), pause)
            except TimeoutError:
                self._keep(self._live(number, next(jobs)))
            else:
                return

    def begin(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._work, daemon=True).start()
        self._running.wait(10)

    def end(self) -> None:
        """Leave: jobs that are not over stay where they are."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _work(self) -> None:
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        running = loop.create_task(self.run())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), running, return_exceptions=True))
        loop.close()

    async def _live(self, number: int, job: JobSpec) -> None:
        key = self._new_key()
        try:
            times = 2 if number % TWICE_AT_ONCE == 0 else 1
            first, *_ = await asyncio.gather(*(self._client.submit(job, key) for _ in range(times)))
            watching = asyncio.create_task(self._client.watch(job, first.job_id))
            if number % CANCELLED == 0:
                await asyncio.sleep(self._moments.uniform(0, CANCEL_SECONDS))
                await self._client.cancel(job, first.job_id)
            if number % AGAIN == 0:
                await self._client.submit(job, key)
            await watching
        except NeverAcceptedError:
            return  # the history has it

    async def _accepted(self, job: JobSpec, key: str) -> Seen:
        seen = await self._client.submit(job, key)
        self._keep(self._client.watch(job, seen.job_id))
        return seen

    async def _all_over(self, seconds: float) -> bool:
        self._stop.set()
        give_up_at = time.monotonic() + seconds
        for job, job_id in self._client.unwatched():
            self._keep(self._client.watch(job, job_id))
        while self._lives and time.monotonic() < give_up_at:
            await asyncio.wait(set(self._lives), timeout=max(0.0, give_up_at - time.monotonic()))
        return not self._lives

    def _new_key(self) -> str:
        return f"{self._run}-{next(self._numbers)}"

    def _keep(self, life: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(life)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float = PATIENCE_SECONDS) -> T:
        if self._loop is None:
            raise RuntimeError("the clients do not run")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds + STUCK_SECONDS)
        except TimeoutError:
            raise RuntimeError("the clients are stuck") from None


@contextmanager
def durable_load(url: str, rate: float = 0.0) -> Iterator[DurableLoad]:
    """Submit ``rate`` mixed jobs a second while the block runs, or until it is ``settled``."""
    load = DurableLoad(url, rate)
    load.begin()
    try:
        yield load
    finally:
        load.end()

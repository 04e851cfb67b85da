"""Clients that follow durable jobs by their events, and come back wherever a stream ends: from another thread."""

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx

from chaos.history import History, Seen
from chaos.jobs import JobSpec

COME_BACK_SECONDS = 0.2
"""A browser would wait for the 2 s that it is told."""
SILENT_SECONDS = 8.0
"""A comment comes every 5 s."""
STREAMS = itertools.count()


@dataclass
class Followed:
    """What became of one job's follower."""

    job: JobSpec
    job_id: str
    opened: int = 0
    """Streams that it had."""
    cut: int = 0
    """Those that ended in the middle."""
    done: bool = False
    """Whether it was told of the end."""
    over: bool = False
    """Whether, coming back after that, it was told that nothing follows."""


class Followers:
    """One for each job; all in one thread."""

    def __init__(self, url: str, history: History, jobs: Sequence[tuple[JobSpec, str]]) -> None:
        self.followed = [Followed(*each) for each in jobs]
        self._url = url
        self._history = history
        self._stop = threading.Event()

    @property
    def all_over(self) -> bool:
        """Whether none is there any more."""
        return all(each.over for each in self.followed)

    def run(self) -> None:
        """Until all are over, or it is told to stop."""
        asyncio.run(self._follow_all())

    def stop(self) -> None:
        """Leave, at the end of a stream at the latest."""
        self._stop.set()

    async def _follow_all(self) -> None:
        limits = httpx.Limits(max_connections=None)
        timeout = httpx.Timeout(10, read=SILENT_SECONDS)
        async with httpx.AsyncClient(base_url=self._url, limits=limits, timeout=timeout) as client:
            await asyncio.gather(*(self._follow(client, each) for each in self.followed))

    async def _follow(self, client: httpx.AsyncClient, followed: Followed) -> None:
        last_id = ""
        while not (followed.over or self._stop.is_set()):
            headers = {"Last-Event-ID": last_id} if last_id else {}
            opened = self._history.now
            try:
                async with client.stream("GET", f"/jobs/{followed.job_id}/events", headers=headers) as answer:
                    followed.over = answer.status_code == 204
                    if answer.status_code == 200:
                        followed.opened += 1
                        last_id = await self._read(answer, followed, opened) or last_id
            except httpx.HTTPError:
                followed.cut += 1
            if not followed.over:
                await asyncio.sleep(COME_BACK_SECONDS)

    async def _read(self, answer: httpx.Response, followed: Followed, opened: float) -> str:
        """All events of one stream; the id of the last one. What is cut off was told all the same."""
        stream, name, event_id = next(STREAMS), "", ""
        with contextlib.suppress(httpx.HTTPError):
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    event_id = value
                elif field == "data":
                    self._history.event(followed.job, Seen.of(json.loads(value), event_id), stream, opened)
                    followed.done = followed.done or name == "done"
            return event_id
        followed.cut += 1
        return event_id


@contextlib.contextmanager
def following(url: str, history: History, jobs: Sequence[tuple[JobSpec, str]]) -> Iterator[Followers]:
    """Follow these jobs while the block runs."""
    followers = Followers(url, history, jobs)
    thread = threading.Thread(target=followers.run, daemon=True)
    thread.start()
    try:
        yield followers
    finally:
        followers.stop()
        thread.join(4 * SILENT_SECONDS)

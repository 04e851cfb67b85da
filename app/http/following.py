"""Following durable jobs: one long poll of the keeper for all who wait for a job or watch one."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from app.durable.records import Changes, JobView
from app.durable.service import DurableJobs
from app.errors import JobsUnavailableError, NoSuchJobError

POLL_SECONDS = 1.0
RETRY_SECONDS = 0.5
"""After the keeper could not be reached: it is replaced in a few seconds, and meanwhile nobody is told anything."""
GATHER_SECONDS = 0.02
"""Whoever joins interrupts the poll; those who join within this time interrupt it once."""
LOOK_SECONDS = 0.25
"""How often it is looked whether the service is closing."""

logger = logging.getLogger("ray.serve")


class Follower:
    """One who follows a job, and the last that is known of it. There is no backlog: only the present counts."""

    def __init__(self, view: JobView) -> None:
        self.view = view
        self.gone = False
        """Whether the job was deleted, or has expired."""
        self.closing = False
        """Whether the service wants to be rid of its followers."""
        self._told = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.view.record.state.done or self.gone or self.closing

    def tell(self, view: JobView) -> None:
        """Of what may have changed; what is older than the last is ignored."""
        if view != self.view and _age(view) >= _age(self.view):
            self.view = view
            self._told.set()

    def end(self, *, gone: bool = False) -> None:
        """Tell it that the job is gone, or that the service is closing."""
        self.gone, self.closing = self.gone or gone, self.closing or not gone
        self._told.set()

    async def news(self, seconds: float | None = None) -> None:
        """Until it has been told something; not longer than so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return
        self._told.clear()


class Following:
    """All followers of one ingress. It asks the keeper from the first one's arrival until the last one leaves."""

    def __init__(self, durable: DurableJobs, closing: Callable[[], bool]) -> None:
        """``closing`` says when followers are to leave: an open request holds up a redeploy."""
        self._durable = durable
        self._closing = closing
        self._followers: dict[str, set[Follower]] = {}
        """By job id."""
        self._new: set[str] = set()
        """Jobs whose followers have only what they brought along: what happened since then is not known."""
        self._joined = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None

    @contextmanager
    def follow(self, view: JobView) -> Iterator[Follower]:
        """Follow a job from this view of it, which the caller may see."""
        job_id, follower = view.record.job_id, Follower(view)
        self._followers.setdefault(job_id, set()).add(follower)
        self._new.add(job_id)
        self._joined.set()
        if self._polling is None or self._polling.done():
            # No request's context: Serve would cancel the call with the request that happened to be the first.
            self._polling = asyncio.create_task(self._poll(), context=contextvars.Context())
        try:
            yield follower
        finally:
            self._leave(job_id, follower)

    async def until_done(self, view: JobView, seconds: float) -> JobView:
        """The job when it is done, or as it is after so long, or when the service is closing.

        Raises ``NoSuchJobError`` if it is deleted meanwhile.
        """
        with self.follow(view) as follower:
            try:
                async with asyncio.timeout(seconds):
                    while not follower.over:
                        await follower.news()
            except TimeoutError:
                pass
            if follower.gone:
                raise NoSuchJobError
            return follower.view

    def _leave(self, job_id: str, follower: Follower) -> None:
        followers = self._followers[job_id]
        followers.discard(follower)
        if not followers:
            del self._followers[job_id]
            self._new.discard(job_id)
        if not self._followers and self._polling is not None:
            self._polling.cancel()
            self._polling = None

    async def _poll(self) -> None:
        cursor = ""
        while True:
            self._look()
            try:
                cursor = await self._news(cursor)
            except JobsUnavailableError:
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("Following durable jobs failed; going on", extra={"log_to_stderr": False})
                await asyncio.sleep(RETRY_SECONDS)

    async def _news(self, cursor: str) -> str:
        """Ask once, tell the followers, and return the cursor to go on from."""
        self._joined.clear()
        if new := frozenset(self._new):
            # An older cursor does not cover them from when they were looked up, and a newer one might skip others.
            first = await self._durable.changes("", new, 0)
            self._tell(first)
            self._new -= new
            cursor = cursor or first.cursor
        changes = await self._unless_joined(cursor, tuple(self._followers))
        if changes is None:
            await asyncio.sleep(GATHER_SECONDS)
            return cursor
        self._tell(changes)
        return changes.cursor

    async def _unless_joined(self, cursor: str, job_ids: Collection[str]) -> Changes | None:
        """What has changed; None as soon as another follower joins."""
        asking = asyncio.ensure_future(self._durable.changes(cursor, job_ids, POLL_SECONDS))
        joining = asyncio.ensure_future(self._joined.wait())
        try:
            while not (asking.done() or joining.done()):
                await asyncio.wait((asking, joining), timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                self._look()
            return asking.result() if asking.done() else None
        finally:
            asking.cancel()
            joining.cancel()

    def _look(self) -> None:
        if self._closing():
            for followers in self._followers.values():
                for follower in followers:
                    follower.end()

    def _tell(self, changes: Changes) -> None:
        for view in changes.views:
            for follower in self._followers.get(view.record.job_id, ()):
                follower.tell(view)
        for job_id in changes.gone:
            for follower in self._followers.get(job_id, ()):
                follower.end(gone=True)


def _age(view: JobView) -> tuple[int, int]:
    """Grows with each commit; a job that a later keeper had to begin anew is younger than all before."""
    return view.epoch, view.record.revision

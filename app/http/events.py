"""A durable job as server-sent events: snapshots of it, without a log, so any ingress can go on where another stopped.

* ``job``: the whole job, at once, and at each change of its state and each time it is resumed;
* ``progress``: the whole job again, at most once a second;
* ``done``: the whole job, finished; nothing follows.

``id`` is opaque. A stream that ends before ``done`` is to be opened again, which browsers do by themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException, Request, Response
from starlette.types import Receive, Scope, Send

from app.durable.records import JobView
from app.durable.service import DurableJobs
from app.errors import JobsUnavailableError
from app.http.authentication import caller_of
from app.http.durable_answers import DurableAnswers
from app.http.following import Follower, Following
from app.http.places import Places

MAX_STREAMS = 200
MAX_CALLER_STREAMS = 20
"""With API keys: of one caller."""
FULL_RETRY_SECONDS = 5
STREAM_SECONDS = 30.0
"""Then it ends, and the caller comes back: Serve waits for open requests before it replaces an ingress."""
GRACE_SECONDS = 5.0
"""A caller that does not read may hold up the end so long."""
SILENT_SECONDS = 5.0
"""HAProxy ends a connection after 15 seconds of silence."""
PROGRESS_SECONDS = 1.0
COMMENT = b":\n\n"
END = {"type": "http.response.body"}
RETRY = b"retry: 2000\n"
"""Milliseconds until a browser comes back."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """The streams of one ingress, and how many there may be."""

    def __init__(self, durable: DurableJobs, answers: DurableAnswers, following: Following) -> None:
        self.durable = durable
        self.answers = answers
        self.following = following
        self._places = Places(MAX_STREAMS, MAX_CALLER_STREAMS)

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """A place for one stream. Raises HTTPException, 429, if there is none."""
        retry = {"Retry-After": str(FULL_RETRY_SECONDS)}
        if self._places.all_taken:
            raise HTTPException(429, f"{MAX_STREAMS} streams are open already; poll instead.", retry)
        if self._places.has_all(caller):
            raise HTTPException(429, f"{caller} has {MAX_CALLER_STREAMS} streams open already; poll instead.", retry)
        with self._places.place(caller):
            yield


class EventStream(Response):
    """The events of one job.

    Written by hand, because FastAPI's own answer sends a comment of its own after exactly as long a silence as HAProxy
    allows, and begins with 200 before it can know whether there is such a job.
    """

    def __init__(self, streams: Streams, job_id: str, request: Request) -> None:
        super().__init__(headers=HEADERS | {"Content-Type": "text/event-stream"})
        del self.headers["content-length"]
        self._streams = streams
        self._job_id = job_id
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises what the look-up raises, HTTPException if there is no place, before anything is sent."""
        caller, streams = caller_of(self._request), self._streams
        with streams.place(caller):
            view = await streams.durable.get(self._job_id, caller)
            if view.record.state.done and self._request.headers.get("last-event-id") == _event_id(view):
                await Response(status_code=204)(scope, receive, send)
                return
            first = RETRY + await self._event("done" if view.record.state.done else "job", view)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if view.record.state.done or scope["method"] == "HEAD":
                await send(END | {"body": first})
                return
            with streams.following.follow(view) as follower:
                await while_there(self._send(first, follower, send), receive)

    async def _send(self, first: bytes, follower: Follower, send: Send) -> None:
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for chunk in self._rest(follower):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send(END)

    async def _rest(self, follower: Follower) -> AsyncIterator[bytes]:
        """What comes after the first event."""
        now = asyncio.get_running_loop().time
        shown = follower.view
        shown_at = spoken_at = now()
        ends_at = shown_at + STREAM_SECONDS
        while not (shown.record.state.done or follower.gone or follower.closing) and now() < ends_at:
            view = follower.view
            name = _name(shown, view)
            if name != "progress" or (view is not shown and now() >= shown_at + PROGRESS_SECONDS):
                try:
                    yield await self._event(name, view)
                except JobsUnavailableError:  # its result cannot be read: the next look-up says why
                    return
                shown = view
                shown_at = spoken_at = now()
            elif now() >= spoken_at + SILENT_SECONDS:
                yield COMMENT
                spoken_at = now()
            else:
                wake_at = min(ends_at, spoken_at + SILENT_SECONDS)
                await follower.news((wake_at if view is shown else min(wake_at, shown_at + PROGRESS_SECONDS)) - now())

    async def _event(self, name: str, view: JobView) -> bytes:
        data = await self._streams.answers.job(view, self._request.scope.get("root_path", ""))
        return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), _event_id(view).encode(), data)


def _event_id(view: JobView) -> str:
    """The end has the same with every keeper: nothing follows it."""
    return f"{'done' if view.record.state.done else view.epoch}-{view.record.revision}"


def _name(shown: JobView, view: JobView) -> str:
    """The event that tells what is new since the last one."""
    if view.record.state.done:
        return "done"
    turned = (view.record.state, view.record.resumed) != (shown.record.state, shown.record.resumed)
    return "job" if turned else "progress"


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        """The request's body, which nobody needs."""


async def while_there(sending: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Until everything is sent, or the caller has left or has not read for too long: then the end is not sent."""
    both = asyncio.ensure_future(sending), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait(both, timeout=STREAM_SECONDS + GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        results = await asyncio.gather(*both, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError):  # the connection's end
            raise result

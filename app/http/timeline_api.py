"""What the page reads: frames of what the service does, one by one or as a stream, and a single job's story."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from dataclasses import asdict

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from app.errors import NoSuchJobError
from app.http.authentication import caller_of
from app.http.events import END, HEADERS, STREAM_SECONDS, while_there
from app.http.places import Places
from app.observe.frames import Frames, job_fields
from app.observe.sight import Sight

MAX_STREAMS = 16
"""In one ingress: whoever watches has each of its frames made and sent."""
MAX_CALLER_STREAMS = 8
"""With API keys: of one caller."""
MAX_READS, MAX_CALLER_READS = 4, 2
"""Single frames and stories that are being made: each takes milliseconds of the ingress, or calls of all others."""
FULL_RETRY_SECONDS = 5
QUIET_TICKS = 3
"""While nothing happens so many frames are left out between two."""
MAX_CURSOR = 4_096
AGAIN = b"event: again\ndata: {}\n\n"


class TimelineApi:
    """The routes, over what is seen of the whole service."""

    def __init__(self, sight: Sight, units: dict[str, str]) -> None:
        """``units``: what each kernel counts, in the plural."""
        self._sight = sight
        self._units = units
        self._frames = Frames(sight.watching, units)
        self._places = Places(MAX_STREAMS, MAX_CALLER_STREAMS)
        self._reads = Places(MAX_READS, MAX_CALLER_READS)
        self._made: dict[tuple[str, str], tuple[bytes, str]] = {}
        """The frames of one tick, by caller and cursor: those who watch together share them."""
        self._made_at = -1

    def add_routes(self, app: FastAPI) -> None:
        """None is in the OpenAPI document: what they say follows the page, and changes with it."""
        for path, endpoint in (
            ("/timeline", self.read),
            ("/timeline/stream", self.stream),
            ("/timeline/jobs/{job_id}", self.story),
        ):
            app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)

    async def read(self, http: Request) -> Response:
        """One frame."""
        watching = self._sight.watching
        with place(self._reads, caller_of(http)), watching.watching():
            tick = await watching.tick(watching.num_ticks)
            content, _ = self._frame(tick, cursor_of(http), caller_of(http))
        return Response(content, media_type="application/json")

    async def stream(self, http: Request) -> Response:
        """Frames, two a second, for half a minute."""
        return FrameStream(self, http)

    async def story(self, http: Request) -> Response:
        """A job that is over, with what was asked and its batches."""
        with place(self._reads, caller_of(http)):
            story = await self._sight.story(http.path_params["job_id"], caller_of(http))
        if story is None:
            raise NoSuchJobError
        job = job_fields(story.job, self._units)
        batches = [asdict(batch) for batch in story.batches]
        content = to_json({"job": job, "request": story.request, "batches": batches})
        return Response(content, media_type="application/json")

    def place(self, caller: str) -> AbstractContextManager[None]:
        """A place for one stream. Raises HTTPException, 429, if there is none."""
        return place(self._places, caller)

    async def events(self, cursor: str, caller: str) -> AsyncGenerator[bytes]:
        """A stream's events. The next frame is made when the last one has been taken: who is slow gets fewer."""
        now = asyncio.get_running_loop().time
        watching = self._sight.watching
        ends_at = now() + STREAM_SECONDS
        tick, unsent = watching.num_ticks, QUIET_TICKS
        with watching.watching():
            while now() < ends_at:
                tick = await watching.tick(tick)
                if watching.closing:
                    break
                content, after = self._frame(tick, cursor, caller)
                unsent += 1
                if unsent > QUIET_TICKS or after != cursor or watching.busy:
                    yield b"event: frame\nid: %s\ndata: %s\n\n" % (after.encode(), content)
                    cursor, unsent = after, 0
        yield AGAIN

    def _frame(self, tick: int, cursor: str, caller: str) -> tuple[bytes, str]:
        """The frame as JSON, and the cursor after it."""
        if tick != self._made_at:
            self._made, self._made_at = {}, tick
        made = self._made.get((caller, cursor))
        if made is None:
            frame = self._frames.frame(cursor, caller)
            made = self._made[caller, cursor] = to_json(frame), frame["cursor"]
        return made


class FrameStream(Response):
    """Frames as server-sent events."""

    def __init__(self, timeline: TimelineApi, request: Request) -> None:
        super().__init__(headers=HEADERS | {"Content-Type": "text/event-stream"})
        del self.headers["content-length"]
        self._timeline = timeline
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises HTTPException if there is no place, before anything is sent."""
        caller = caller_of(self._request)
        with self._timeline.place(caller):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send(END)
                return
            await while_there(self._send(cursor_of(self._request), caller, send), receive)

    async def _send(self, cursor: str, caller: str, send: Send) -> None:
        async with aclosing(self._timeline.events(cursor, caller)) as events:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send(END)


def place(places: Places, caller: str) -> AbstractContextManager[None]:
    """One of these. Raises HTTPException, 429, if there is none."""
    if places.all_taken or places.has_all(caller):
        detail = f"{places.number} are open already, or {places.number_a_caller} of one caller."
        raise HTTPException(429, detail, {"Retry-After": str(FULL_RETRY_SECONDS)})
    return places.place(caller)


def cursor_of(http: Request) -> str:
    """How far the caller has been told; empty if it does not say."""
    return (http.query_params.get("after") or http.headers.get("last-event-id") or "")[:MAX_CURSOR]

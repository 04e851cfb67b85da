"""An answer that comes before the end of the request's body: how its caller gets to read it."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 75_000_000
"""The most that is read and thrown away after an answer: 64 MB, and a margin for what is around them."""
MAX_SILENT_SECONDS = 2.0
"""How long a caller that has the answer may neither go on nor leave."""
MAX_AT_ONCE = 500
"""Requests whose rest is being read; the next one's connection ends with its answer."""


class ReadOn:
    """Answers at once, and reads the rest of the body before it ends the connection.

    A connection that ends with unread bytes in it is reset, and most clients that are still sending then see an error
    of their own instead of the answer. A body longer or slower than the limits is cut off all the same: no caller may
    keep the service reading for as long as it likes.
    """

    def __init__(self, app: ASGIApp, max_seconds: float) -> None:
        self._app = app
        self._max_seconds = max_seconds
        self._num_reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; if there is more of the body, say ``Connection: close``, and keep back only the answer's end."""
        if scope["type"] != "http" or not any(_declares_body(*header) for header in scope["headers"]):
            await self._app(scope, receive, send)
            return
        unread = True

        async def noting() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def answering(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            if not unread or message.get("more_body", message["type"] != "http.response.body"):
                await send(message)
                return
            await send({**message, "more_body": True})
            await self._read_on(noting)
            await send({"type": "http.response.body"})

        await self._app(scope, noting, answering)

    async def _read_on(self, receive: Receive) -> None:
        if self._num_reading >= MAX_AT_ONCE:
            return
        self._num_reading += 1
        try:
            await _throw_away(receive, self._max_seconds)
        finally:
            self._num_reading -= 1


async def _throw_away(receive: Receive, max_seconds: float) -> None:
    """Until the body ends, the caller leaves, or a limit is reached."""
    now = asyncio.get_running_loop().time
    give_up_at = now() + max_seconds
    num_bytes, more = 0, True
    try:
        async with asyncio.timeout(None) as silence:
            while more and num_bytes < MAX_BYTES:
                silence.reschedule(min(now() + MAX_SILENT_SECONDS, give_up_at))
                message = await receive()
                num_bytes += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return


def _declares_body(name: bytes, value: bytes) -> bool:
    return name == b"transfer-encoding" or (name == b"content-length" and value != b"0")

"""Between Serve's HTTP server and Serve's own reading of a request: cleans headers, and lets refusals come first."""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Iterator

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SERVE_HEADERS = {
    b"x-request-timeout-seconds",
    b"x-request-disconnect-disabled",
    b"x-session-id",
    b"serve-multiplexed-model-id",
}
"""With these a caller could have Serve end its job early, in plain text, or keep computing after it has left; Serve
answers 500 to one that is not UTF-8."""
REQUEST_ID = re.compile(rb"[!-~]{1,128}")
"""What a request's id may look like: it is in answers and logs, and Serve answers 500 to one that is not UTF-8. Of
several the first counts: Serve would answer with that one, and log the last."""


REFUSED_SECONDS = 0.1
"""Within this a request that is refused by its head has its answer, unless the ingress is overloaded."""


class StripServeHeaders:
    """Removes what only Serve itself should say from the headers that come from outside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without them."""
        if "headers" in scope:
            scope["headers"] = list(_for_us(scope["headers"]))
        await self._app(scope, receive, send)


class RefuseFirst:
    """Lets the answer to a caller that asks first (``Expect: 100-continue``) come before it is told to go on.

    Serve reads each request at once, to notice callers that leave, and with that uvicorn tells the caller to go on. So
    a refusal came behind a 100, and of 3,000 such pairs HAProxy passed on 5 without the refusal.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read nothing of such a request until there is an answer, or none comes at once."""
        if not any(name == b"expect" for name, _ in scope.get("headers", ())):
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()

        async def answering(message: Message) -> None:
            await send(message)
            answered.set()

        async def receiving() -> Message:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFUSED_SECONDS):
                    await answered.wait()
            return await receive()

        await self._app(scope, receiving, answering)


def _for_us(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    has_id = False
    for name, value in headers:
        if name == b"x-request-id":
            if has_id or not REQUEST_ID.fullmatch(value):
                continue
            has_id = True
        if name.replace(b"_", b"-") not in SERVE_HEADERS:  # Serve treats both alike
            yield name, value


def middlewares() -> list[Middleware]:
    """Called by Serve in every process that has an HTTP server: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(StripServeHeaders), Middleware(RefuseFirst)]

"""What stands between Serve's HTTP server and Serve's own reading of a request."""

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

STRIPPED_HEADERS = ("x-request-timeout-seconds", "x-request-disconnect-disabled")
"""With these a caller could have Serve end its job early, in plain text, or keep computing after it has left."""


class StripServeHeaders:
    """Takes Serve's own request headers off what comes from outside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without them."""
        if scope["type"] == "http":
            headers = MutableHeaders(scope=scope)
            for name in STRIPPED_HEADERS:
                del headers[name]
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Called by Serve in every process that has an HTTP server: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(StripServeHeaders)]

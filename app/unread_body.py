"""An answer that comes before the end of the request's body ends the connection."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CloseUnread:
    """Closes the connection after an answer to a body that was not read to its end.

    Or the server would go on taking what nobody reads, for as long as the caller sends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and say ``Connection: close`` if there is more of the body."""
        if scope["type"] != "http" or not any(_declares_body(*header) for header in scope["headers"]):
            await self._app(scope, receive, send)
            return
        unread = True

        async def noting() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def closing(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, noting, closing)


def _declares_body(name: bytes, value: bytes) -> bool:
    return name == b"transfer-encoding" or (name == b"content-length" and value != b"0")

"""Reading a request's body: small, JSON, and nothing that JSON does not have."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from app.http.body_deadline import BodyDeadline

MAX_BODY_BYTES = 64 * 1024
MAX_MEMBERS = 100
"""Larger objects are refused without validating them: naming 7,600 unknown members blocked the event loop for 15 ms."""


class JsonRequest(Request):
    """A request whose body is JSON (RFC 8259), at most ``MAX_BODY_BYTES`` long."""

    async def body(self) -> bytes:
        """The whole body; HTTPException 413 as soon as it is known to be too long."""
        if not hasattr(self, "_body"):
            declared = self.headers.get("content-length", "0")
            if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
                raise _too_long()
            chunks = bytearray()
            async for chunk in self.stream():
                chunks += chunk
                if len(chunks) > MAX_BODY_BYTES:
                    raise _too_long()
            self._body = bytes(chunks)
        return self._body

    async def json(self) -> Any:
        """The parsed body; HTTPException 400 if it is not JSON, 422 if an object in it has too many members."""
        try:
            return json.loads(
                (await self.body()).decode(),  # bytes would be accepted as UTF-16 and UTF-32 too
                parse_int=_parse_int,
                parse_constant=_refuse_constant,
                object_pairs_hook=_refuse_duplicates,
            )
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, f"The body is not JSON: {error}.") from None


def _too_long() -> HTTPException:
    return HTTPException(413, f"The body may be at most {MAX_BODY_BYTES:,} bytes long.")


def _parse_int(digits: str) -> int:
    return int(digits[:30])  # Python refuses 4,300 digits and more; 30 are above every limit too


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise HTTPException(422, f"An object may have at most {MAX_MEMBERS} members.")
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is used twice in one object")
    return members


def json_route(body_timeout_seconds: float) -> type[APIRoute]:
    """A kind of route that accepts ``application/json`` and nothing else, and waits no longer than this for it."""
    deadline = BodyDeadline(body_timeout_seconds)

    class JsonRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_json(request: Request) -> Response:
                _check_headers(request)
                json_request = JsonRequest(request.scope, request.receive)
                await _read(json_request, deadline)
                return await handle(json_request)

            return handle_json

    return JsonRoute


def _check_headers(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0]
    if content_type.strip().lower() != "application/json":
        raise HTTPException(415, "The body must be application/json.")
    if any(encoding.lower() != "identity" for encoding in request.headers.getlist("content-encoding")):
        raise HTTPException(415, "The body must not be encoded.")


async def _read(request: JsonRequest, deadline: BodyDeadline) -> None:
    """Read the body, which ``request`` then keeps."""
    try:
        body = await deadline.keep(request.body())
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {deadline.seconds:g} s.") from None
    except ClientDisconnect:
        body = b""  # nobody will read the answer
    if not body:
        raise HTTPException(400, "The body is empty; {} asks for the defaults.")

"""Reading a request's body: small, JSON, and nothing that JSON does not have."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.http.body_deadline import BodyDeadline

MAX_BODY_BYTES = 64 * 1024
MAX_MEMBERS = 100
"""Larger objects are refused without validating them: naming 7,600 unknown members blocked the event loop for 15 ms."""


async def read_json(request: Request, deadline: BodyDeadline) -> Any:
    """The parsed body.

    Raises HTTPException: 415 or 413 by its head, 413 as soon as it is known to be too long, 408 if it takes too long,
    400 if it is not JSON, 422 if an object in it has too many members.
    """
    _check_headers(request)
    try:
        body = await deadline.keep(_read(request))
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {deadline.seconds:g} s.") from None
    except ClientDisconnect:
        body = b""  # nobody will read the answer
    if not body:
        raise HTTPException(400, "The body is empty; {} asks for the defaults.")
    try:
        return json.loads(
            body.decode(),  # bytes would be accepted as UTF-16 and UTF-32 too
            parse_int=_parse_int,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_duplicates,
        )
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not JSON: {error}.") from None


def _check_headers(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0]
    if content_type.strip().lower() != "application/json":
        raise HTTPException(415, "The body must be application/json.")
    if any(encoding.lower() != "identity" for encoding in request.headers.getlist("content-encoding")):
        raise HTTPException(415, "The body must not be encoded.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise _too_long()


async def _read(request: Request) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY_BYTES:
            raise _too_long()
    return bytes(chunks)


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


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Another answer of the same route, to requests that want it, with a body of another model."""

    wanted: Callable[[Request], bool]
    body_model: type[BaseModel]
    endpoint: Callable[[Any, Request], Awaitable[Response]]


class JsonRoute(APIRoute):
    """A route that accepts ``application/json`` and nothing else: ``endpoint(body, request)``.

    FastAPI documents it, and validates by its models, but does not handle its requests: what it does for dependencies,
    forms, files and response models, which no route here has, took a seventh of the time that a small job takes in the
    ingress.
    """

    body_deadline: BodyDeadline
    otherwise: Otherwise | None

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        assert self.body_field is not None  # noqa: S101 (for the type checker)
        self.body_model = cast("type[BaseModel]", self.body_field.field_info.annotation)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        parsed = await read_json(request, self.body_deadline)
        model: type[BaseModel] = self.body_model
        endpoint = self.endpoint
        if self.otherwise is not None and self.otherwise.wanted(request):
            model, endpoint = self.otherwise.body_model, self.otherwise.endpoint
        try:
            body = model.model_validate(parsed)
        except ValidationError as invalid:
            errors = [error | {"loc": ("body", *error["loc"])} for error in invalid.errors(include_url=False)]
            raise RequestValidationError(errors, body=parsed) from None
        response = await endpoint(body, request)
        await response(scope, receive, send)


def json_route(body_timeout_seconds: float, alternative: Otherwise | None = None) -> type[JsonRoute]:
    """The kind of route that waits no longer than this for a body."""

    class Route(JsonRoute):
        body_deadline = BodyDeadline(body_timeout_seconds)
        otherwise = alternative

    return Route

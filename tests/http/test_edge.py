"""What stands before Serve's own reading of a request: which headers it lets through, and what comes first."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from deployments.serve_headers import REFUSED_SECONDS, RefuseFirst, StripServeHeaders
from tests.http.client import in_virtual_time

pytestmark = pytest.mark.anyio


async def show_headers(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers the names of the headers it got."""
    await JSONResponse(sorted(Request(scope).headers))(scope, receive, send)


async def passed(name: bytes, value: bytes) -> bool:
    """Whether this header of a request arrives."""
    transport = httpx.ASGITransport(StripServeHeaders(show_headers))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return name.decode().lower() in (await client.get("/", headers=[(name, value)])).json()


@pytest.mark.parametrize("value", [b"a", b"0e6f-77", b"x" * 128, b"~!"])
async def test_a_request_id_is_kept(value: bytes) -> None:
    assert await passed(b"X-Request-Id", value)


@pytest.mark.parametrize("value", [b"", b"\xff", b"x" * 129, b"a b", b"a\tb", "é".encode(), b"a\n"])
async def test_what_could_be_no_request_id_is_not(value: bytes) -> None:
    assert not await passed(b"X-Request-Id", value)


@pytest.mark.parametrize(
    "name",
    [
        b"x-request-timeout-seconds", b"x-request-disconnect-disabled", b"X-Session-Id", b"x_session_id",
        b"serve_multiplexed_model_id", b"Serve-Multiplexed-Model-Id",
    ],
)  # fmt: skip
async def test_what_only_serve_may_say_is_taken_off(name: bytes) -> None:
    assert not await passed(name, b"1")


@pytest.mark.parametrize("name", [b"Authorization", b"traceparent", b"X-Session"])
async def test_everything_else_arrives(name: bytes) -> None:
    assert await passed(name, b"1")


@pytest.mark.parametrize(
    ("shown", "kept"),
    [([b"a", b"b"], "a"), ([b"a", b"a"], "a"), ([b"a b", b"c"], "c"), ([b"", b"\xff", b"d", b"e"], "d")],
)
async def test_of_several_request_ids_the_first_that_could_be_one_is_kept(shown: list[bytes], kept: str) -> None:
    async def show_ids(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(Request(scope).headers.getlist("x-request-id"))(scope, receive, send)

    transport = httpx.ASGITransport(StripServeHeaders(show_ids))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.get("/", headers=[(b"X-Request-Id", value) for value in shown])
    assert answer.json() == [kept]


async def ask(expect: bool, answers_after: float | None) -> list[str]:
    """What happens at the server of an application that, like Serve, reads at once, and perhaps answers by itself."""
    events: list[str] = []

    async def receive() -> Message:
        events.append("told to go on")
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        events.append(message["type"])

    async def reads_at_once(scope: Scope, receive: Receive, send: Send) -> None:
        reading = asyncio.ensure_future(receive())
        if answers_after is None:
            await reading
        else:
            await asyncio.sleep(answers_after)
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await reading

    headers = [(b"expect", b"100-continue")] if expect else []
    await RefuseFirst(reads_at_once)({"type": "http", "headers": headers}, receive, send)
    return events


@in_virtual_time
@pytest.mark.parametrize(
    ("expect", "answers_after", "events"),
    [
        (True, 0.01, ["http.response.start", "told to go on"]),
        (True, None, ["told to go on", "http.response.start"]),
        (True, 2 * REFUSED_SECONDS, ["told to go on", "http.response.start"]),
        (False, 0.01, ["told to go on", "http.response.start"]),
    ],
)
async def test_who_asks_first_gets_a_refusal_before_anything_else(
    expect: bool, answers_after: float | None, events: list[str]
) -> None:
    """Only if it comes soon: a caller whose body is wanted must not wait for long."""
    assert await ask(expect, answers_after) == events

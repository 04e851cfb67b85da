"""An answer to a body that nobody reads comes at once, and its caller may go on sending for a while."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.http import unread_body
from app.http.unread_body import MAX_AT_ONCE, MAX_BYTES, MAX_SILENT_SECONDS, ReadOn
from app.keys import parse_keys
from app.status import PoolStatus
from tests.http.client import Client, in_virtual_time, until

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}
SECONDS = 10.0
SCOPE = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}


async def endless() -> AsyncIterator[bytes]:
    """More than anybody reads."""
    while True:
        yield b" " * 65_536


async def break_down() -> PoolStatus:
    """A bug."""
    raise RuntimeError("broken")


class Exchange:
    """A request whose body comes from ``next_part``, to an application that refuses it unread."""

    def __init__(self, next_part: Callable[[], Awaitable[Message]]) -> None:
        self._next_part = next_part
        self.said: list[str] = []
        """What happened, in this order: "start", "body", "read" and "end"."""
        self.num_bytes = 0
        self.end_body = b""

    async def receive(self) -> Message:
        """The next part of the body, which ends up nowhere."""
        message = await self._next_part()
        self.said.append("read")
        self.num_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """What the server is given."""
        if message["type"] == "http.response.start":
            self.said.append("start")
        else:
            self.said.append("body" if message.get("more_body") else "end")
            self.end_body += message.get("body", b"")


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that does not want to know."""
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"too long"})


def parts(*bodies: bytes, more: bool = False) -> Callable[[], Awaitable[Message]]:
    """A body in these parts; with ``more``, nothing comes after them, else it ends with the last."""
    left = list(bodies)

    async def next_part() -> Message:
        if not left:
            await asyncio.Event().wait()
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": more or bool(left)}

    return next_part


async def seconds_of(exchange: Exchange, app: ReadOn) -> float:
    """How long it takes."""
    now = asyncio.get_running_loop().time
    begun = now()
    await app(SCOPE, exchange.receive, exchange.send)
    return now() - begun


async def test_the_answer_is_there_before_the_rest_is_read_and_ends_after_it() -> None:
    exchange = Exchange(parts(b"a", b"b", b"c"))
    await ReadOn(refuse, SECONDS)(SCOPE, exchange.receive, exchange.send)
    assert exchange.said == ["start", "body", "read", "read", "read", "end"]
    assert exchange.end_body == b"too long"


async def test_64_mb_are_read_to_their_end() -> None:
    exchange = Exchange(parts(*[b" " * 1_000_000] * 64, b""))
    await ReadOn(refuse, SECONDS)(SCOPE, exchange.receive, exchange.send)
    assert exchange.num_bytes == 64_000_000


async def test_a_body_without_end_is_read_up_to_the_limit() -> None:
    exchange = Exchange(parts(*[b" " * 1_000_000] * 1_000))
    await ReadOn(refuse, SECONDS)(SCOPE, exchange.receive, exchange.send)
    assert exchange.num_bytes == MAX_BYTES
    assert exchange.said[-1] == "end"


async def test_a_caller_that_leaves_is_not_waited_for() -> None:
    async def leave() -> Message:
        return {"type": "http.disconnect"}

    exchange = Exchange(leave)
    await ReadOn(refuse, SECONDS)(SCOPE, exchange.receive, exchange.send)
    assert exchange.said == ["start", "body", "read", "end"]


@in_virtual_time
async def test_a_caller_that_falls_silent_is_waited_for_only_a_moment() -> None:
    seconds = await seconds_of(Exchange(parts(b"a", more=True)), ReadOn(refuse, SECONDS))
    assert seconds == pytest.approx(MAX_SILENT_SECONDS)


@in_virtual_time
async def test_a_caller_that_sends_slowly_is_read_no_longer_than_a_body_may_take() -> None:
    async def drip() -> Message:
        await asyncio.sleep(1.5)
        return {"type": "http.request", "body": b" ", "more_body": True}

    assert await seconds_of(Exchange(drip), ReadOn(refuse, SECONDS)) == pytest.approx(SECONDS)


@in_virtual_time
async def test_only_so_many_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_body, "MAX_AT_ONCE", 2)
    app = ReadOn(refuse, SECONDS)
    exchanges = [Exchange(parts(b"a", more=True)) for _ in range(3)]
    seconds = await asyncio.gather(*(seconds_of(exchange, app) for exchange in exchanges))
    assert seconds == pytest.approx([MAX_SILENT_SECONDS, MAX_SILENT_SECONDS, 0])
    assert exchanges[2].said == ["start", "body", "end"]
    assert await seconds_of(Exchange(parts(b"a", more=True)), app) == pytest.approx(MAX_SILENT_SECONDS)  # room again


async def test_one_that_is_cancelled_makes_room() -> None:
    app = ReadOn(refuse, SECONDS)
    for _ in range(MAX_AT_ONCE + 1):
        exchange = Exchange(parts(b"a", more=True))
        reading = asyncio.create_task(app(SCOPE, exchange.receive, exchange.send))
        await until(lambda exchange=exchange: "read" in exchange.said)  # type: ignore[misc]
        reading.cancel()
        await asyncio.wait([reading])
    exchange = Exchange(parts(b"a", b"b"))
    await app(SCOPE, exchange.receive, exchange.send)
    assert exchange.num_bytes == 2


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/fibonacci", JSON, 413),
        ("POST", "/fibonacci", {"content-type": "text/plain"}, 415),
        ("POST", "/fibonacci", JSON | {"content-encoding": "gzip"}, 415),
        ("POST", "/pool", JSON, 405),
        ("POST", "/nowhere", JSON, 404),
        ("GET", "/livez", JSON, 200),
    ],
)
async def test_every_early_answer_ends_the_connection(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = await Client().request(method, path, content=endless(), headers=headers)
    assert (response.status_code, response.headers["connection"]) == (status, "close")


async def test_who_has_no_key_is_not_listened_to() -> None:
    response = await Client(keys=parse_keys(f"alice:{'0' * 64}", "test")).post(
        "/fibonacci", content=endless(), headers=JSON
    )
    assert (response.status_code, response.headers["connection"]) == (401, "close")


async def test_an_unexpected_error_is_no_exception() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            read.append(1)
            yield b" "

    read: list[int] = []
    response = await Client(read_pool=break_down).request("GET", "/pool", content=body())
    assert (response.status_code, response.headers["connection"], len(read)) == (500, "close", 3)


@pytest.mark.parametrize(("body", "status"), [(b'{"sequence_size": 1}', 200), (b"[]", 422), (b"{", 400), (b"", 400)])
async def test_a_body_that_was_read_leaves_the_connection_open(body: bytes, status: int) -> None:
    response = await Client().post("/fibonacci", content=body, headers=JSON)
    assert response.status_code == status
    assert "connection" not in response.headers


@pytest.mark.parametrize("headers", [{}, {"content-length": "0"}])
async def test_without_a_body_the_connection_stays_open(headers: dict[str, str]) -> None:
    assert "connection" not in (await Client().get("/livez", headers=headers)).headers


@pytest.mark.parametrize("path", ["/fibonacci/", "/livez/"])
async def test_nobody_is_sent_to_where_the_host_header_says(path: str) -> None:
    response = await Client().post(path, json={}, headers={"host": "elsewhere.example"})
    assert response.status_code == 404
    assert "location" not in response.headers

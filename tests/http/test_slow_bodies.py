"""A body that does not come: 408 after its time, and no cost for those that do."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.http.body_deadline import BodyDeadline
from app.settings import Settings
from harness.virtual_time import VirtualTimeLoop, run_virtually
from tests.http.client import Client, in_virtual_time

SETTINGS = Settings(body_timeout_seconds=10)
JSON = {"content-type": "application/json"}


async def dripping(seconds: float) -> AsyncIterator[bytes]:
    """A byte a second."""
    for byte in b'{"sequence_size": 10}'.ljust(int(seconds)):
        await asyncio.sleep(1.0)
        yield bytes([byte])


@in_virtual_time
@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/fibonacci", "/fibonacci/compare"])
async def test_a_slow_body_is_408_after_its_time_and_ends_the_connection(path: str) -> None:
    client, now = Client(SETTINGS), asyncio.get_running_loop().time
    begun = now()
    response = await client.post(path, content=dripping(100), headers=JSON)
    assert (response.status_code, response.json()["status"]) == (408, 408)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["connection"] == "close"
    assert now() - begun == pytest.approx(10)
    assert client.batches == []


@in_virtual_time
@pytest.mark.anyio
async def test_each_of_many_slow_bodies_has_its_own_time() -> None:
    client, now = Client(SETTINGS), asyncio.get_running_loop().time

    async def post(after_seconds: float) -> float:
        await asyncio.sleep(after_seconds)
        response = await client.post("/fibonacci", content=dripping(100), headers=JSON)
        assert response.status_code == 408
        return now()

    starts = [0.0, 0.0, 3.5, 9.99, 10.5, 40.0]
    ends = await asyncio.gather(*map(post, starts))
    assert ends == pytest.approx([start + 10 for start in starts])


@in_virtual_time
@pytest.mark.anyio
async def test_a_body_that_comes_just_in_time_is_taken() -> None:
    client = Client(Settings(body_timeout_seconds=21.5))
    response = await client.post("/fibonacci", content=dripping(21), headers=JSON)
    assert response.status_code == 200


@in_virtual_time
@pytest.mark.anyio
async def test_computing_does_not_count_as_reading() -> None:
    async def gather_slowly() -> AsyncIterator[bytes]:
        yield b"{}"

    client = Client(Settings(body_timeout_seconds=1, max_timeout_seconds=50), workers=[])
    response = await client.post("/fibonacci", content=gather_slowly(), headers=JSON)
    assert response.status_code == 503  # after 30 s without a worker


def test_bodies_that_are_there_share_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    num_timers = 0
    call_at = VirtualTimeLoop.call_at

    def counting(loop: VirtualTimeLoop, *args: object, **context: object) -> object:
        nonlocal num_timers
        num_timers += 1
        return call_at(loop, *args, **context)  # type: ignore[arg-type]

    async def read() -> bytes:
        return b"{}"

    async def main() -> None:
        deadline = BodyDeadline(10)
        monkeypatch.setattr(VirtualTimeLoop, "call_at", counting)
        for _ in range(1_000):
            assert await deadline.keep(read()) == b"{}"

    run_virtually(main())
    assert num_timers == 1


def test_a_reader_that_is_cancelled_is_not_too_slow() -> None:
    async def main() -> None:
        deadline = BodyDeadline(10)
        reading = asyncio.create_task(deadline.keep(asyncio.get_running_loop().create_future()))
        await asyncio.sleep(5)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with pytest.raises(TimeoutError):
            await deadline.keep(asyncio.get_running_loop().create_future())
        assert asyncio.get_running_loop().time() == pytest.approx(15)

    run_virtually(main())

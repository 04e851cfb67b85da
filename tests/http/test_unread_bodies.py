"""An answer to a body that nobody read ends the connection; any other leaves it open."""

from collections.abc import AsyncIterator

import pytest

from app.keys import parse_keys
from tests.http.client import Client

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}


async def endless() -> AsyncIterator[bytes]:
    """More than anybody reads."""
    while True:
        yield b" " * 1024


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
async def test_it_ends_the_connection(method: str, path: str, headers: dict[str, str], status: int) -> None:
    response = await Client().request(method, path, content=endless(), headers=headers)
    assert (response.status_code, response.headers["connection"]) == (status, "close")


async def test_who_has_no_key_is_not_listened_to() -> None:
    response = await Client(keys=parse_keys(f"alice:{'0' * 64}", "test")).post(
        "/fibonacci", content=endless(), headers=JSON
    )
    assert (response.status_code, response.headers["connection"]) == (401, "close")


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

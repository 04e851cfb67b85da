"""Requests that never reach a worker: what is wrong with each, and where the answer says it is."""

import asyncio
import json
import logging
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from tests.http.client import Client

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
MAX_BODY_BYTES = 64 * 1024


async def post(client: Client, content: bytes, path: str = "/fibonacci", **headers: str) -> httpx.Response:
    """Post these very bytes, as JSON unless ``headers`` say otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(path, content=content, headers=JSON | named)


def assert_problem(client: Client, response: httpx.Response, status: int) -> dict[str, Any]:
    """It is a problem whose status says it all, and no worker was called; returns its members."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert problem["title"]
    assert client.batches == []
    assert client.dispatcher.num_unfinished_jobs == 0
    return problem


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("sequence_size", value) for value in ("true", "false", '"5"', "1e5", "5.0", "-0.0", "null", "[]", "{}")],
        *[("sequence_size", value) for value in ("-1", "10000001", "9" * 4000, "1e400", "[" * 400 + "]" * 400)],
        *[("num_sequences", value) for value in ("0", "-1", "10001", "true", '"5"', "1e1", "5.0", "[1]")],
        *[("execution", value) for value in ("null", '""', '"remote"', '"LOCAL"', "1", "true", '["local"]')],
        *[("timeout_seconds", value) for value in ("0", "0.0", "-1", "-1e400", "300.001", "1e400", "9" * 400)],
        *[("timeout_seconds", value) for value in ("true", "false", '"1"', "[]")],
        *[("no_such_field", value) for value in ("1", "null", '"' + "x" * 60_000 + '"')],
        ("", "1"),
        ("Sequence_Size", "1"),
    ],
    ids=lambda part: part[:20],
)
async def test_a_wrong_value_is_422_at_its_field(field: str, value: str) -> None:
    client = Client()
    problem = assert_problem(client, await post(client, f'{{"{field}": {value}}}'.encode()), 422)
    assert [error["location"] for error in problem["errors"]] == [["body", field]]
    assert all(error["message"] for error in problem["errors"])


async def test_every_wrong_field_is_named_at_once() -> None:
    client = Client()
    body = b'{"sequence_size": -1, "num_sequences": 0, "execution": "x", "timeout_seconds": 0, "more": 1}'
    problem = assert_problem(client, await post(client, body), 422)
    fields = {error["location"][1] for error in problem["errors"]}
    assert fields == {"sequence_size", "num_sequences", "execution", "timeout_seconds", "more"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/fibonacci", "sequence_size, num_sequences, timeout_seconds, execution"),
        ("/fibonacci/compare", "sequence_size, num_sequences, timeout_seconds"),
    ],
)
async def test_who_misspells_a_field_is_told_which_there_are(path: str, fields: str) -> None:
    client = Client()
    problem = assert_problem(client, await post(client, b'{"sequence_sise": 1}', path), 422)
    assert problem["detail"] == f"The body is invalid. Its fields are {fields}."
    problem = assert_problem(client, await post(client, b'{"sequence_size": -1}', path), 422)
    assert problem["detail"] == "The body is invalid."


@pytest.mark.parametrize("body", [b"[]", b'[{"sequence_size": 1}]', b'"x"', b"5", b"1.5", b"true", b"null"])
async def test_json_that_is_no_object_is_422_at_the_body(body: bytes) -> None:
    client = Client()
    problem = assert_problem(client, await post(client, body), 422)
    assert [error["location"] for error in problem["errors"]] == [["body"]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"{'sequence_size': 1}",
        b'{"sequence_size": 1,}',
        b'{"sequence_size": 01}',
        b'{"sequence_size": +1}',
        b'{"sequence_size": NaN}',
        b'{"timeout_seconds": Infinity}',
        b'{"timeout_seconds": -Infinity}',
        b'{"sequence_size": 1, "sequence_size": 1}',
        b'{"no_such_field": {"a": 1, "a": 2}}',
        b'{"sequence_size": 1, "\\u0073equence_size": 1}',
        b"sequence_size=5",
        b"\xff",
        b'{"execution": "\xe9"}',
        b"\x00",
        b"\x1f\x8b\x08\x00",
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b"[" * 30_000 + b"]" * 30_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_a_body_that_is_not_json_is_400(body: bytes) -> None:
    client = Client()
    assert_problem(client, await post(client, body), 400)


async def test_an_integer_of_10_000_digits_is_above_the_limit() -> None:
    client = Client()
    problem = assert_problem(client, await post(client, b'{"sequence_size": %s}' % (b"9" * 10_000)), 422)
    assert [error["location"] for error in problem["errors"]] == [["body", "sequence_size"]]


async def test_a_lone_surrogate_as_a_name_is_422() -> None:
    client = Client()
    assert_problem(client, await post(client, b'{"\\ud800": 1}'), 422)


@pytest.mark.parametrize(
    "body",
    [
        '{"sequence_size": 1}'.encode("utf-16"),
        '{"sequence_size": 1}'.encode("utf-32"),
        b'{"execution": "\xed\xa0\x80"}',
    ],
    ids=["utf-16", "utf-32", "surrogate"],
)
async def test_a_body_that_is_not_utf_8_is_400(body: bytes) -> None:
    client = Client()
    assert_problem(client, await post(client, body), 400)


async def test_a_body_of_64_kb_is_read() -> None:
    body = b'{"sequence_size": 1}'.ljust(MAX_BODY_BYTES)
    assert (await post(Client(), body)).status_code == 200


@pytest.mark.parametrize(
    "body", [b"{}".ljust(MAX_BODY_BYTES + 1), b"[" * 100_000, b"x" * 10_000_000], ids=["padded", "nested", "large"]
)
async def test_a_longer_body_is_413(body: bytes) -> None:
    client = Client()
    assert_problem(client, await post(client, body), 413)


@pytest.mark.parametrize("length", ["65537", "9" * 30, "9" * 5000])
async def test_a_declared_length_over_64_kb_is_413_before_anything_is_read(length: str) -> None:
    client = Client()
    assert_problem(client, await post(client, b"", content_length=length), 413)


async def test_a_long_body_that_comes_in_chunks_is_413_without_being_read_to_its_end() -> None:
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        said.append("read")
        return {"type": "http.request", "body": b" " * 1024, "more_body": len(said) < 100}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message.get("status"))

    transport = Client()._transport
    assert isinstance(transport, httpx.ASGITransport)
    headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/fibonacci", "query_string": b"", "headers": headers}
    await transport.app(scope, receive, send)
    assert said.index(413) == 65  # parts that it had read by then


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/problem+json", "application/jsonp", "json"],
)
async def test_another_content_type_is_415(content_type: str) -> None:
    client = Client()
    assert_problem(client, await post(client, b"{}", content_type=content_type), 415)


async def test_no_content_type_is_415() -> None:
    client = Client()
    assert_problem(client, await client.post("/fibonacci", content=b"{}"), 415)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_an_encoded_body_is_415(encoding: str) -> None:
    client = Client()
    assert_problem(client, await post(client, b"{}", content_encoding=encoding), 415)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
)
async def test_parameters_and_case_of_the_content_type_do_not_matter(content_type: str) -> None:
    response = await post(Client(), b'{"sequence_size": 1}', content_type=content_type)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{", 400), (b"[]", 422), (b'{"sequence_size": true}', 422), (b" " * 65537, 413)]
)
async def test_compare_refuses_the_same(body: bytes, status: int) -> None:
    client = Client()
    assert_problem(client, await post(client, body, "/fibonacci/compare"), status)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/problems/", "/problems/nowhere", "/fibonacci/nowhere", "/%2Ffibonacci", "/%00"]
)
async def test_an_unknown_path_is_404(path: str) -> None:
    client = Client()
    response = await client.get(path)
    assert_problem(client, response, 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/fibonacci", "POST"),
        ("PUT", "/fibonacci", "POST"),
        ("NONSENSE", "/fibonacci", "POST"),
        ("DELETE", "/fibonacci/compare", "POST"),
        ("POST", "/pool", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/problems", "GET, HEAD"),
        ("POST", "/livez", "GET, HEAD"),
        ("PATCH", "/readyz", "GET, HEAD"),
        ("POST", "/problems/deadline", "GET, HEAD"),
        ("POST", "/docs/assets/swagger-ui.css", "GET, HEAD"),
        ("POST", "/jobs", "GET, HEAD"),
        ("POST", "/jobs/1", "DELETE, GET, HEAD"),
        ("GET", "/jobs/1/cancel", "POST"),
        ("DELETE", "/jobs/1/events", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_and_says_which_is_allowed(method: str, path: str, allowed: str) -> None:
    client = Client()
    response = await client.request(method, path)
    assert_problem(client, response, 405)
    assert response.headers["allow"] == allowed


async def test_a_caller_that_leaves_amid_its_body_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    messages = asyncio.Queue[dict[str, Any]]()
    messages.put_nowait({"type": "http.request", "body": b'{"sequence_', "more_body": True})
    messages.put_nowait({"type": "http.disconnect"})
    transport = Client()._transport
    assert isinstance(transport, httpx.ASGITransport)
    scope = {"type": "http", "method": "POST", "path": "/fibonacci", "query_string": b""}
    headers = [(b"content-type", b"application/json")]

    async def send(message: object) -> None:
        """Nobody listens any more."""

    await transport.app(scope | {"headers": headers}, messages.get, send)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("body", "title"), [(b"[]", "Unprocessable Content"), (b" " * 65537, "Content Too Large")], ids=["422", "413"]
)
async def test_the_title_is_the_phrase_of_rfc_9110_on_every_python(body: bytes, title: str) -> None:
    assert (await post(Client(), body)).json()["title"] == title


async def test_an_object_of_thousands_of_members_is_not_looked_at() -> None:
    client = Client()
    body = json.dumps(dict.fromkeys(map(str, range(5_000)), 0)).encode()
    problem = assert_problem(client, await post(client, body), 422)
    assert problem["detail"] == "An object may have at most 100 members."
    assert "errors" not in problem

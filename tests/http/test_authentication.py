"""With API keys: who is let in, what the others are told, and whose job it is then."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from app.dispatch.dispatcher import Dispatcher
from app.http.answers import Health
from app.http.api import create_app
from app.http.problem_pages import PROBLEM_TYPES
from app.keys import parse_keys
from app.settings import Settings
from tests.http.client import Client, compute_batch, pool_of, until, wait_forever

pytestmark = pytest.mark.anyio

ALICE, BOB = "fib_alices-key_0123456789", "fib_bobs-key_0123456789"
KEYS = parse_keys(
    "\n".join(f"{name}:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in (("alice", ALICE), ("bob", BOB))),
    "file",
)
JOB = {"sequence_size": 10, "num_sequences": 1}
CLOSED = [
    ("POST", "/fibonacci"),
    ("POST", "/fibonacci/compare"),
    ("GET", "/pool"),
    ("GET", "/fibonacci"),
    ("GET", "/jobs"),
    ("GET", "/jobs/1"),
    ("GET", "/jobs/1/events"),
    ("POST", "/jobs/1/cancel"),
    ("DELETE", "/jobs/1"),
    ("GET", "/problems/../pool"),
    ("GET", "/problem"),
    ("GET", "/no/such/route"),
    ("OPTIONS", "/fibonacci"),
    ("GET", "/pool/"),
    ("GET", "//livez"),
    ("GET", "/livez/%2e%2e/pool"),
    ("GET", "/LIVEZ"),
]
PAGES = ["/docs", "/openapi.json", "/problems", *(f"/problems/{name}" for name in PROBLEM_TYPES)]
OPEN = ["/livez", "/readyz", *PAGES]


def bearer(key: str) -> dict[str, str]:
    """The header that shows the key."""
    return {"Authorization": f"Bearer {key}"}


def assert_refused(client: Client, response: httpx.Response, *, key_shown: bool) -> None:
    """It is a 401 with a challenge, which does not repeat what was shown, and nothing was computed."""
    assert response.status_code == 401
    error = ', error="invalid_token"' if key_shown else ""
    assert response.headers["www-authenticate"] == f'Bearer realm="fibonacci"{error}'
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Unauthorized", 401)
    assert "fib_" not in response.text
    assert client.batches == []


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_without_a_key_everything_but_the_open_pages_is_401(method: str, path: str) -> None:
    client = Client(keys=KEYS)
    request = client.build_request(method, "http://service", json=JOB)
    request.url = request.url.copy_with(raw_path=path.encode())  # as it stands, without the client's tidying
    assert_refused(client, await client.send(request), key_shown=False)
    request.headers["Authorization"] = f"Bearer {ALICE}x"
    assert_refused(client, await client.send(request), key_shown=True)


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("headers", [{}, bearer("nonsense"), bearer(ALICE)])
async def test_the_open_pages_need_no_key(path: str, headers: dict[str, str]) -> None:
    assert (await Client(keys=KEYS).get(path, headers=headers)).status_code == 200


async def test_who_has_no_key_gets_the_page_but_not_what_it_shows() -> None:
    client = Client(keys=KEYS)
    assert (await client.get("/")).status_code == 200
    for path in ("/timeline", "/timeline/stream", "/timeline/jobs/1"):
        assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize("path", ["/docs/%2e%2e/pool", "/problems/%2e%2e%2fpool"])
async def test_an_open_page_leads_nowhere_else(path: str) -> None:
    client = Client(keys=KEYS)
    request = client.build_request("GET", "http://service")
    request.url = request.url.copy_with(raw_path=path.encode())
    assert (await client.send(request)).status_code == 404


async def test_with_a_key_every_route_answers_as_it_does_without_keys() -> None:
    client = Client(keys=KEYS)
    client.headers.update(bearer(ALICE))
    assert (await client.post("/fibonacci", json=JOB)).json()["sizes"] == [10]
    assert (await client.post("/fibonacci/compare", json=JOB)).json()["local"]["sizes"] == [10]
    assert (await client.get("/pool")).status_code == 200
    assert (await client.get("/no/such/route")).status_code == 404
    assert (await client.get("/fibonacci")).status_code == 405
    assert (await client.post("/fibonacci", json={"no_such_field": 1})).status_code == 422


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(scheme: str) -> None:
    """RFC 9110, section 11.1."""
    response = await Client(keys=KEYS).post("/fibonacci", json=JOB, headers={"Authorization": f"{scheme} {ALICE}"})
    assert response.status_code == 200


async def test_without_keys_nobody_is_asked_for_one() -> None:
    for headers in ({}, bearer("nonsense")):
        assert (await Client().post("/fibonacci", json=JOB, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "shown",
    [
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer  "],
        [b"Bearer\t" + ALICE.encode()],
        [b"Bearer," + ALICE.encode()],
        [b"Bearer " + ALICE.upper().encode()],
        [b"Bearer " + ALICE.encode() + b" " + BOB.encode()],
        [b"Bearer " + ALICE.encode() + b", Bearer " + ALICE.encode()],
        [b"Bearer \xff\xfe\x00\xe9"],
        [b"Bearer " + b"a" * 1_000_000],
        [b"Bearer " + hashlib.sha256(ALICE.encode()).hexdigest().encode()],
        [b"Bearer " + ALICE.encode(), b"Bearer " + ALICE.encode()],
        [b"Bearer " + ALICE.encode(), b"Bearer " + BOB.encode()],
        [b"Bearer " + ALICE.encode(), b"Basic YTpi"],
    ],
    ids=lambda shown: str(shown[0][:30]),
)  # fmt: skip
async def test_what_is_not_exactly_one_key_is_401(shown: list[bytes]) -> None:
    client = Client(keys=KEYS)
    headers = [(b"Authorization", value) for value in shown]
    assert_refused(client, await client.post("/fibonacci", json=JOB, headers=headers), key_shown=True)


@pytest.mark.parametrize(
    "value", [b"", b" ", b"\xff", ALICE.encode(), b"Basic YWxpY2U6YQ==", b"Digest " + ALICE.encode(), b"a" * 1_000_000]
)
async def test_what_is_no_bearer_token_is_401_without_an_error(value: bytes) -> None:
    client = Client(keys=KEYS)
    response = await client.post("/fibonacci", json=JOB, headers=[(b"Authorization", value)])
    assert_refused(client, response, key_shown=False)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ([], "Bearer KEY."),
        ([b""], "The header is empty."),
        ([b"  "], "The header is empty."),
        ([b"Basic " + ALICE.encode()], "Basic was sent instead (from a .netrc file, or a name in the address?)."),
        ([b"bAsIc YTpi"], "Basic was sent instead (from a .netrc file, or a name in the address?)."),
        ([b"Digest username=a"], "Digest was sent instead."),
        ([b"Token " + ALICE.encode()], "Token was sent instead."),
        ([ALICE.encode()], "The header does not begin with Bearer."),
        ([ALICE.encode() + b" x"], "The header does not begin with Bearer."),
        ([b"Basic"], "The header does not begin with Bearer."),
        ([b"bearer"], "Bearer was sent without one."),
        ([b"Bearer  "], "Bearer was sent without one."),
        ([b"Bearer " + ALICE.encode(), b"Basic YTpi"], "2 Authorization headers were sent; send one."),
        ([b"Bearer " + ALICE.encode()] * 3, "3 Authorization headers were sent; send one."),
    ],
)
async def test_what_came_instead_of_a_key_is_said(shown: list[bytes], said: str) -> None:
    headers = [(b"Authorization", value) for value in shown]
    detail = (await Client(keys=KEYS).post("/fibonacci", json=JOB, headers=headers)).json()["detail"]
    assert detail.startswith("An API key is needed: Authorization: Bearer KEY.")
    assert detail.endswith(said)


async def test_the_document_has_what_is_said() -> None:
    document = (await Client(keys=KEYS).get("/openapi.json")).json()
    examples = document["paths"]["/pool"]["get"]["responses"]["401"]["content"]["application/problem+json"]["examples"]
    details = [example["value"]["detail"] for example in examples.values()]
    assert [("needed" in detail, "Basic was sent" in detail, "not valid" in detail) for detail in details] == [
        (True, False, False), (True, True, False), (False, False, True)
    ]  # fmt: skip


async def test_401_comes_before_anything_of_the_body_is_read() -> None:
    client = Client(keys=KEYS)

    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    assert_refused(client, await client.post("/fibonacci", content=body()), key_shown=False)
    too_long = {"content-length": "1000000000", "content-type": "application/json"}
    assert_refused(client, await client.post("/fibonacci", content=body(), headers=too_long), key_shown=False)
    for content in (b"", b"{", b'{"sequence_size": -1}'):
        assert_refused(client, await client.post("/fibonacci", content=content), key_shown=False)


async def test_a_refusal_has_the_requests_id() -> None:
    response = await Client(keys=KEYS).get("/pool", headers={"x-request-id": "req-1"})
    assert response.json()["request_id"] == "req-1"


async def test_a_key_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client(keys=KEYS)
    for key in (ALICE, f"{ALICE}x"):
        await client.post("/fibonacci", json=JOB, headers=bearer(key))
        await client.post("/fibonacci", json={"sequence_size": -1}, headers=bearer(key))
    assert ALICE not in caplog.text


async def test_a_caller_at_its_limit_is_429_and_another_is_not() -> None:
    client = Client(Settings(max_caller_jobs=2), wait_forever, keys=KEYS)
    held = [asyncio.create_task(client.post("/fibonacci", json=JOB, headers=bearer(ALICE))) for _ in range(2)]
    await until(lambda: client.dispatcher.num_unfinished_jobs == 2)
    response = await client.post("/fibonacci", json=JOB, headers=bearer(ALICE))
    problem = response.json()
    assert (response.status_code, problem["status"], problem["type"]) == (429, 429, "/problems/caller-limit")
    assert int(response.headers["retry-after"]) == problem["retry_after_seconds"] >= 1
    assert "alice" in problem["detail"]
    held.append(asyncio.create_task(client.post("/fibonacci/compare", json=JOB, headers=bearer(BOB))))
    await until(lambda: client.dispatcher.num_unfinished_jobs == 4)
    for task in held:
        task.cancel()
    await asyncio.wait(held)


async def test_without_keys_there_is_no_callers_limit() -> None:
    client = Client(Settings(max_caller_jobs=1), wait_forever)
    held = [asyncio.create_task(client.post("/fibonacci", json=JOB, headers=bearer(ALICE))) for _ in range(3)]
    await until(lambda: client.dispatcher.num_unfinished_jobs == 3)
    for task in held:
        task.cancel()
    await asyncio.wait(held)


async def test_the_document_says_which_routes_need_a_key() -> None:
    document = (await Client(keys=KEYS).get("/openapi.json")).json()
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    closed = {
        operation["operationId"]: operation
        for operations in document["paths"].values()
        for operation in operations.values()
        if "security" in operation
    }
    assert set(closed) == {
        "run_job", "compare", "read_job", "list_jobs", "cancel_job", "delete_job", "read_job_events", "read_pool",
    }  # fmt: skip
    for operation in closed.values():
        assert operation["security"] == [{name: [] for name in document["components"]["securitySchemes"]}]
        assert list(operation["responses"]["401"]["content"]) == ["application/problem+json"]
        assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


async def test_without_keys_the_document_speaks_of_none() -> None:
    text = (await Client().get("/openapi.json")).text
    assert "securitySchemes" not in text
    assert '"401"' not in text


async def test_a_route_that_is_added_later_needs_a_key_too() -> None:
    settings = Settings()
    app = create_app(Dispatcher(compute_batch, settings), settings, pool_of(), KEYS)

    @app.get("/new")
    async def new() -> Health:
        return Health(status="ok", checked="nothing")

    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")
    assert (await client.get("/new")).status_code == 401
    assert (await client.get("/new", headers=bearer(BOB))).status_code == 200


async def test_behind_a_prefix_the_same_pages_are_open() -> None:
    settings = Settings()
    app = create_app(Dispatcher(compute_batch, settings), settings, pool_of(), KEYS)
    transport = httpx.ASGITransport(app, root_path="/prefix")
    client = httpx.AsyncClient(transport=transport, base_url="http://service")
    assert (await client.get("/prefix/livez")).status_code == 200
    assert [(await client.get(path)).status_code for path in ("/prefix", "/prefix/")] == [307, 200]
    assert (await client.get("/prefix/pool")).status_code == 401
    assert (await client.get("/prefix/pool", headers=bearer(BOB))).status_code == 200

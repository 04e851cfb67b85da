"""POST with ``Prefer: respond-async``, and /jobs: what is answered, to whom, and with which headers."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.durable.records import State
from app.errors import (
    CallerLimitError,
    ComputationError,
    DeadlineError,
    GaveUpError,
    JobError,
    NoWorkerError,
    QueueFullError,
    TooCostlyError,
)
from app.http.no_jobs import NoJobs
from app.keys import parse_keys
from app.settings import KernelChoice, Settings
from app.status import DurableCounts, PoolStatus
from tests.http.client import Client, in_virtual_time, until, wait_forever
from tests.http.durable_jobs import MemoryJobs, now
from tests.tasks import fibonacci_with

pytestmark = pytest.mark.anyio

ASYNC = {"Prefer": "respond-async"}
BODY = {"sequence_size": 1000, "num_sequences": 3}
ALICE, BOB = "fib_alices-key_0123456789", "fib_bobs-key_0123456789"
KEYS = parse_keys(
    "\n".join(f"{name}:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in (("alice", ALICE), ("bob", BOB))),
    "file",
)
NOBODYS = "0" * 32
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def bearer(key: str) -> dict[str, str]:
    """The header that shows the key."""
    return {"Authorization": f"Bearer {key}"}


async def post(
    client: Client, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    """Post a durable job."""
    return await client.post("/fibonacci", json=BODY if body is None else body, headers=ASYNC | (headers or {}))


def assert_problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """It is a problem of that kind; returns its members."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, kind)
    return problem


async def test_a_job_is_accepted_with_where_to_find_it() -> None:
    client = Client(durable=MemoryJobs())
    response = await post(client)
    job = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/jobs/{job['job_id']}"
    assert response.headers["retry-after"] == "1"
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["vary"] == "Prefer"
    assert response.headers["cache-control"] == "no-store"
    assert (await client.get(response.headers["location"])).json() == job
    assert client.batches == []


async def test_the_job_has_exactly_the_documented_fields() -> None:
    job = (await post(Client(durable=MemoryJobs()))).json()
    assert list(job) == [
        "job_id", "kernel", "state", "done", "request", "created_at", "started_at", "finished_at", "expires_at",
        "deadline_at", "queue_position", "progress", "estimated_finish_at", "resumed", "result", "error", "links",
    ]  # fmt: skip
    assert list(job["progress"]) == [
        "fraction", "terms", "total_terms", "core_seconds", "predicted_core_seconds", "checkpoint_at",
    ]  # fmt: skip
    assert re.fullmatch("[0-9a-f]{32}", job["job_id"])
    assert (job["kernel"], job["state"], job["done"], job["queue_position"]) == ("fibonacci", "queued", False, 0)
    assert job["request"] == BODY | {"execution": "distributed", "timeout_seconds": None}
    assert TIME.fullmatch(job["created_at"])
    path = f"/jobs/{job['job_id']}"
    assert job["links"] == {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"}


async def test_without_the_preference_it_is_a_job_as_ever() -> None:
    durable = MemoryJobs()
    for headers in ({}, {"Prefer": "wait=5"}, {"Prefer": "return=minimal"}, {"Idempotency-Key": ""}):
        response = await Client(durable=durable).post("/fibonacci", json=BODY, headers=headers)
        assert response.status_code == 200
        assert response.json()["sizes"] == [1000] * 3
        assert not {"vary", "preference-applied", "location"} & set(response.headers)
    assert durable.records == {}


async def test_comparing_is_never_durable() -> None:
    response = await Client(durable=MemoryJobs()).post("/fibonacci/compare", json=BODY, headers=ASYNC)
    assert (response.status_code, response.json()["local"]["sizes"]) == (200, [1000] * 3)


async def test_a_job_goes_through_its_states() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    path = (await post(client)).headers["location"]
    job_id = path.rpartition("/")[2]
    durable.start(job_id)
    running = (await client.get(path)).json()
    assert (running["state"], running["queue_position"]) == ("running", None)
    assert TIME.fullmatch(running["started_at"])
    durable.progress(job_id, 1500)
    progress = (await client.get(path)).json()["progress"]
    assert (progress["fraction"], progress["terms"], progress["total_terms"]) == (0.5, 1500, 3000)
    assert (progress["core_seconds"], progress["predicted_core_seconds"]) == (1.5, 1.5)
    assert TIME.fullmatch(progress["checkpoint_at"])
    durable.restart()
    assert (await client.get(path)).json()["resumed"] == 1
    durable.succeed(job_id)
    response = await client.get(path)
    job = response.json()
    assert (job["state"], job["done"], job["error"]) == ("succeeded", True, None)
    assert job["progress"]["fraction"] == 1
    assert TIME.fullmatch(job["finished_at"])
    assert TIME.fullmatch(job["expires_at"])
    assert "retry-after" not in response.headers


async def test_the_result_is_what_the_job_would_have_been_answered() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job_id = (await post(client)).json()["job_id"]
    durable.succeed(job_id)
    result = (await client.get(f"/jobs/{job_id}")).json()["result"]
    answer = (await client.post("/fibonacci", json=BODY)).json()
    assert list(result) == list(answer)
    for name in ("execution", "sequence_size", "num_sequences", "sizes", "last_term"):
        assert result[name] == answer[name]
    assert (result["job_id"], result["batches"]) == (job_id, [])
    assert result["verification"] == {"num_segments": 4, "num_recomputed": 0}
    assert result["timing"]["parallelism"] == 0.75


async def test_a_job_that_counts_by_the_workers_counts_by_those_that_there_were() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable, workers=["a", "b", "c"])
    job = (await post(client, {"sequence_size": 10})).json()
    assert job["request"]["num_sequences"] is None
    client.dispatcher.set_workers(["a"])
    durable.succeed(job["job_id"])
    assert (await client.get(job["links"]["self"])).json()["result"]["sizes"] == [10] * 3


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (DeadlineError(7.0), 504, "/problems/deadline"),
        (NoWorkerError(30.0), 503, "/problems/no-worker"),
        (GaveUpError(3), 500, "/problems/gave-up"),
        (ComputationError(), 500, "about:blank"),
    ],
)
async def test_a_job_that_failed_has_its_problem(error: JobError, status: int, kind: str) -> None:
    durable = MemoryJobs()
    client = Client(durable=durable, root_path="/fib")
    job = (await client.post("/fib/fibonacci", json=BODY, headers=ASYNC)).json()
    durable.fail(job["job_id"], error)
    response = await client.get(job["links"]["self"])
    job = response.json()
    assert (response.status_code, job["state"], job["done"], job["result"]) == (200, "failed", True, None)
    kind = kind if kind == "about:blank" else f"/fib{kind}"
    assert (job["error"]["type"], job["error"]["status"]) == (kind, status)
    assert set(job["error"]) == {"type", "title", "status", "detail"}


@in_virtual_time
async def test_a_job_that_is_done_in_time_is_200() -> None:
    durable = MemoryJobs()
    call_later = asyncio.get_running_loop().call_later
    durable.accepted = lambda job_id: call_later(3, durable.succeed, job_id)
    begun = asyncio.get_running_loop().time()
    response = await post(Client(durable=durable), headers={"Prefer": "respond-async, wait=10"})
    assert asyncio.get_running_loop().time() - begun == pytest.approx(3, abs=0.1)
    job = response.json()
    assert (response.status_code, job["state"]) == (200, "succeeded")
    assert response.headers["location"] == job["links"]["self"]
    assert response.headers["preference-applied"] == "respond-async, wait=10"
    assert "retry-after" not in response.headers


@in_virtual_time
@pytest.mark.parametrize(("wanted", "given"), [(0, 0), (10, 10), (1000, 60)])
async def test_a_job_that_is_not_done_in_time_is_202(wanted: int, given: int) -> None:
    begun = asyncio.get_running_loop().time()
    response = await post(Client(durable=MemoryJobs()), headers={"Prefer": f"respond-async, wait={wanted}"})
    assert asyncio.get_running_loop().time() - begun == pytest.approx(given, abs=0.01)
    assert response.status_code == 202
    assert response.headers["preference-applied"] == f"respond-async, wait={given}"


@in_virtual_time
async def test_the_same_key_and_body_are_the_same_job() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    first = await post(client, {"sequence_size": 10}, headers={"Idempotency-Key": "one"})
    client.dispatcher.set_workers(["a", "b", "c"])  # what a null stands for
    again = await post(client, {"sequence_size": 10, "num_sequences": None}, headers={"Idempotency-Key": '"one"'})
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
    durable.succeed(first.json()["job_id"])
    done = await post(client, {"sequence_size": 10}, headers={"Idempotency-Key": "one"})
    assert (done.status_code, done.json()["state"]) == (200, "succeeded")
    assert len(durable.records) == 1


async def test_the_same_key_with_another_body_is_422() -> None:
    client = Client(durable=MemoryJobs())
    await post(client, headers={"Idempotency-Key": "one"})
    reused = await post(client, BODY | {"timeout_seconds": 7}, headers={"Idempotency-Key": "one"})
    assert_problem(reused, 422, "/problems/idempotency-key-reused")


async def test_a_key_is_its_callers_own() -> None:
    client = Client(durable=MemoryJobs(), keys=KEYS)
    ids = {
        (await post(client, headers={"Idempotency-Key": "one"} | bearer(key))).json()["job_id"] for key in (ALICE, BOB)
    }
    assert len(ids) == 2


@pytest.mark.parametrize("keys", [["a b"], ["a", "a"]])
async def test_a_malformed_key_is_400(keys: list[str]) -> None:
    durable = MemoryJobs()
    headers = [("Prefer", "respond-async"), *(("Idempotency-Key", key) for key in keys)]
    response = await Client(durable=durable).post("/fibonacci", json=BODY, headers=headers)
    assert_problem(response, 400, "about:blank")
    assert durable.records == {}


async def test_a_local_job_is_422() -> None:
    problem = assert_problem(
        await post(Client(durable=MemoryJobs()), BODY | {"execution": "local"}), 422, "about:blank"
    )
    (error,) = problem["errors"]
    assert error["location"] == ["body", "execution"]
    assert "always distributed" in error["message"]


async def test_a_durable_job_may_take_longer() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    for timeout_seconds, seconds in ((301, 301), (604_800, 604_800), (None, 604_800)):
        job_id = (await post(client, BODY | {"timeout_seconds": timeout_seconds})).json()["job_id"]
        record = durable.records[job_id]
        assert record.deadline_at - record.created_at == seconds * 1000
    assert (await post(client, BODY | {"timeout_seconds": 604_801})).status_code == 422
    assert (await post(client, BODY | {"sequence_size": -1})).status_code == 422
    assert (await post(client, BODY | {"size": 1})).json()["detail"].endswith("execution.")
    assert (await client.post("/fibonacci", json=BODY | {"timeout_seconds": 301})).status_code == 422


@pytest.mark.parametrize(
    ("error", "status", "kind", "retry"),
    [
        (TooCostlyError(1e6, 86_400.0), 422, "/problems/too-costly", None),
        (QueueFullError("1,000 jobs are unfinished.", 14), 429, "/problems/queue-full", "14"),
        (CallerLimitError("alice has 100.", 3), 429, "/problems/caller-limit", "3"),
    ],
)
async def test_a_job_that_is_refused_is_not_accepted(
    error: JobError, status: int, kind: str, retry: str | None
) -> None:
    response = await post(Client(durable=MemoryJobs(refuse=error)))
    assert_problem(response, status, kind)
    assert response.headers.get("retry-after") == retry


async def test_a_draining_service_takes_no_new_jobs_and_still_tells_of_those_it_has() -> None:
    client = Client(durable=MemoryJobs())
    path = (await post(client)).headers["location"]
    client.dispatcher.draining = True
    assert assert_problem(await post(client), 503, "/problems/draining")["retry_after_seconds"] == 10
    assert (await client.get(path)).status_code == 200


async def test_a_service_that_is_leaving_still_takes_jobs_as_others_do() -> None:
    client = Client(durable=MemoryJobs())
    client.dispatcher.leaving = True
    assert (await post(client)).status_code == 202


async def every_request(client: Client, job_id: str) -> list[httpx.Response]:
    """One of each kind about durable jobs."""
    return [
        await post(client),
        await client.get(f"/jobs/{job_id}"),
        await client.get("/jobs"),
        await client.post(f"/jobs/{job_id}/cancel"),
        await client.get(f"/jobs/{job_id}/events"),
        await client.delete(f"/jobs/{job_id}"),
    ]


async def test_while_the_keeper_is_away_all_are_503() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job_id = (await post(client)).json()["job_id"]
    durable.unavailable = "The keeper does not answer."
    for response in await every_request(client, job_id):
        problem = assert_problem(response, 503, "/problems/jobs-unavailable")
        assert problem["detail"] == "The keeper does not answer."
        assert response.headers["retry-after"] == "5"
    assert (await client.post("/fibonacci", json=BODY)).status_code == 200


async def test_without_durable_jobs_all_are_503() -> None:
    for response in await every_request(Client(), NOBODYS):
        problem = assert_problem(response, 503, "/problems/jobs-unavailable")
        assert problem["detail"].startswith("This service keeps no durable jobs")
        assert response.headers["retry-after"] == "60"


@pytest.mark.parametrize("job_id", [NOBODYS, "1", "x" * 5000, "%00", "..%2e", "\xe9", NOBODYS.upper() + "A"])
async def test_an_unknown_id_is_404(job_id: str) -> None:
    client = Client(durable=MemoryJobs())
    for response in (await every_request(client, job_id))[1:]:
        if response.request.url.path != "/jobs":
            assert_problem(response, 404, "/problems/no-such-job")


async def test_foreign_jobs_are_not_there() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable, keys=KEYS)
    job_id = (await post(client, headers=bearer(ALICE))).json()["job_id"]
    assert (await client.get(f"/jobs/{job_id}")).status_code == 401
    client.headers.update(bearer(BOB))
    answers = await every_request(client, job_id)
    assert [answer.status_code for answer in answers] == [202, 404, 200, 404, 404, 404]
    assert job_id not in answers[2].text
    assert durable.records[job_id].state is State.QUEUED
    client.headers.update(bearer(ALICE))
    assert (await client.get(f"/jobs/{job_id}")).status_code == 200


async def test_cancelling_answers_the_job_however_often() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job = (await post(client)).json()
    first, second = [await client.post(job["links"]["cancel"]) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert (first.json()["state"], first.json()["done"], first.json()["error"]) == ("cancelled", True, None)
    done = (await post(client)).json()
    durable.succeed(done["job_id"])
    assert (await client.post(done["links"]["cancel"])).json()["state"] == "succeeded"


async def test_a_deleted_job_is_gone() -> None:
    client = Client(durable=MemoryJobs())
    path = (await post(client)).headers["location"]
    deleted = await client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "content-type" not in deleted.headers
    assert (await client.delete(path)).status_code == 404
    assert (await client.get(path)).status_code == 404


async def test_pages_have_all_jobs_once_newest_first() -> None:
    client = Client(durable=MemoryJobs())
    ids = [(await post(client)).json()["job_id"] for _ in range(7)]
    found, cursors, query = [], [], "/jobs?limit=3"
    while True:
        page = (await client.get(query)).json()
        assert list(page) == ["jobs", "next_cursor"]
        found += [job["job_id"] for job in page["jobs"]]
        if (cursor := page["next_cursor"]) is None:
            break
        cursors.append(cursor)
        query = f"/jobs?limit=3&cursor={cursor}"
    assert found == ids[::-1]
    assert len(cursors) == 2
    assert all(re.fullmatch("[A-Za-z0-9_-]+", cursor) for cursor in cursors)


async def test_a_page_has_twenty_without_their_results() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    whole = (await post(client)).json()
    for _ in range(20):
        durable.succeed((await post(client)).json()["job_id"])
    jobs = (await client.get("/jobs")).json()["jobs"]
    assert len(jobs) == 20
    assert [name for name in whole if name != "result"] == list(jobs[0])


async def test_a_page_may_be_of_some_states() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    queued, running, cancelled = [(await post(client)).json()["job_id"] for _ in range(3)]
    durable.start(running)
    durable.move(cancelled, State.CANCELLED)

    async def found(query: str) -> list[str]:
        return [job["job_id"] for job in (await client.get(f"/jobs?{query}")).json()["jobs"]]

    assert await found("state=queued") == [queued]
    assert await found("state=queued&state=cancelled") == [cancelled, queued]
    assert await found("state=failed") == []
    assert await found("") == [cancelled, running, queued]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("state=over", "state"),
        ("cursor=", "cursor"), ("cursor=%C3%A9", "cursor"), ("cursor=17", "cursor"), ("cursor=_wAAAAAAAAA", "cursor"),
        ("cursor=AAAAAAAAAAE%3D", "cursor"), ("cursor=AAAAAAAAAAB", "cursor"), ("cursor=" + "A" * 2000, "cursor"),
        ("cursor=AAAAAAAAAAE%0A", "cursor"),
    ],
)  # fmt: skip
async def test_a_wrong_query_is_422(query: str, name: str) -> None:
    problem = assert_problem(await Client(durable=MemoryJobs()).get(f"/jobs?{query}"), 422, "about:blank")
    assert problem["detail"] == "The query is invalid."
    assert problem["errors"][0]["location"][:2] == ["query", name]


async def test_a_job_that_has_not_changed_is_304() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    path = (await post(client)).headers["location"]
    tag = (await client.get(path)).headers["etag"]
    assert re.fullmatch('"[0-9a-f]{32}"', tag)
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await client.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert same.headers["retry-after"] == "1"
    for known in ('"other"', tag.strip('"'), ""):
        assert (await client.get(path, headers={"If-None-Match": known})).status_code == 200
    durable.start(path.rpartition("/")[2])
    changed = await client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


async def test_the_tag_is_of_all_that_is_told() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    path = (await post(client)).headers["location"]
    tag = (await client.get(path)).headers["etag"]
    durable.estimated_finish_at = now() + 100_000
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 200


@pytest.mark.parametrize(("left_seconds", "retry"), [(-5, 1), (0, 1), (4.5, 5), (59.2, 60), (3600, 60)])
async def test_retry_after_is_when_the_job_is_expected(left_seconds: float, retry: int) -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    posted = await post(client)
    durable.estimated_finish_at = now() + round(left_seconds * 1000)
    response = await client.get(posted.headers["location"])
    assert response.headers["retry-after"] == str(retry)
    assert TIME.fullmatch(response.json()["estimated_finish_at"])


@in_virtual_time
@pytest.mark.parametrize("over", [True, False])
async def test_the_job_may_be_waited_for(over: bool) -> None:
    durable = MemoryJobs()
    client, loop = Client(durable=durable), asyncio.get_running_loop()
    job_id = (await post(client)).json()["job_id"]
    if over:
        loop.call_later(7, durable.succeed, job_id)
    begun = loop.time()
    response = await client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=1000"})
    assert loop.time() - begun == pytest.approx(7 if over else 30, abs=0.1)
    assert response.json()["done"] is over
    assert response.headers["preference-applied"] == "wait=30"
    assert response.headers["vary"] == "Prefer"


async def test_who_wants_no_wait_gets_none() -> None:
    client = Client(durable=MemoryJobs())
    path = (await post(client)).headers["location"]
    response = await client.get(path, headers={"Prefer": "wait=0"})
    assert (response.status_code, response.headers["preference-applied"]) == (200, "wait=0")
    assert "preference-applied" not in (await client.get(path)).headers


async def test_without_durable_jobs_they_are_counted_as_none() -> None:
    counts = await NoJobs().counts()
    assert (counts.available, counts.queued, counts.running, counts.finished) == (False, 0, 0, 0)
    assert "jobs_folder" in (counts.reason or "")


@in_virtual_time
async def test_a_job_that_is_deleted_while_waited_for_is_404() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    path = (await post(client)).headers["location"]
    waiting = asyncio.create_task(client.get(path, headers={"Prefer": "wait=20"}))
    await asyncio.sleep(3)
    await client.delete(path)
    assert_problem(await waiting, 404, "/problems/no-such-job")
    assert asyncio.get_running_loop().time() < 4


@in_virtual_time
@pytest.mark.parametrize("name", ["draining", "leaving"])
async def test_nobody_waits_while_the_service_closes(name: str) -> None:
    client = Client(durable=MemoryJobs())
    path = (await post(client)).headers["location"]
    waiting = asyncio.create_task(client.get(path, headers={"Prefer": "wait=20"}))
    await asyncio.sleep(3)
    setattr(client.dispatcher, name, True)
    assert (await waiting).status_code == 200
    assert asyncio.get_running_loop().time() < 4


@in_virtual_time
async def test_who_waits_does_not_notice_that_the_keeper_is_replaced() -> None:
    durable = MemoryJobs()
    client, loop = Client(durable=durable), asyncio.get_running_loop()
    job_id = (await post(client)).json()["job_id"]
    waiting = asyncio.create_task(client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=30"}))
    await asyncio.sleep(1)
    durable.unavailable = "The keeper does not answer."
    await asyncio.sleep(8)
    durable.unavailable = None
    durable.restart()
    durable.succeed(job_id)
    assert (await waiting).json()["state"] == "succeeded"
    assert loop.time() < 11


@in_virtual_time
async def test_many_who_wait_are_one_call_at_a_time() -> None:
    durable = MemoryJobs()
    client, loop = Client(durable=durable), asyncio.get_running_loop()
    ids = [(await post(client)).json()["job_id"] for _ in range(50)]
    waiting = [asyncio.create_task(client.get(f"/jobs/{each}", headers={"Prefer": "wait=20"})) for each in ids]
    for each in ids:
        loop.call_later(10, durable.succeed, each)
    assert {(await each).json()["state"] for each in waiting} == {"succeeded"}
    assert len(durable.asked) < 20
    await asyncio.sleep(5)
    asked = len(durable.asked)
    await asyncio.sleep(5)
    assert len(durable.asked) == asked, "it goes on when nobody follows"


@in_virtual_time
async def test_whoever_joins_is_told_at_once() -> None:
    durable = MemoryJobs()
    client, loop = Client(durable=durable), asyncio.get_running_loop()
    watched = (await post(client)).json()["job_id"]
    waiting = asyncio.create_task(client.get(f"/jobs/{watched}", headers={"Prefer": "wait=20"}))
    await asyncio.sleep(0.3)
    durable.accepted = lambda job_id: loop.call_later(0.1, durable.succeed, job_id)
    begun = loop.time()
    assert (await post(client, headers={"Prefer": "respond-async, wait=10"})).status_code == 200
    assert loop.time() - begun < 0.2
    durable.succeed(watched)
    assert (await waiting).json()["done"]


@pytest.mark.parametrize("prefix", ["/fib", "/under/a/prefix"])
async def test_links_begin_with_the_route_prefix_and_never_with_a_host(prefix: str) -> None:
    client = Client(durable=MemoryJobs(), root_path=prefix)
    response = await client.post(
        f"{prefix}/fibonacci", json=BODY, headers=ASYNC | {"Host": "elsewhere.example", "X-Forwarded-Host": "evil"}
    )
    job = response.json()
    assert response.headers["location"] == job["links"]["self"] == f"{prefix}/jobs/{job['job_id']}"
    assert "elsewhere" not in response.text
    assert (await client.get(job["links"]["self"])).json()["links"] == job["links"]
    assert (await client.post(job["links"]["cancel"])).json()["links"] == job["links"]
    assert (await client.get(job["links"]["events"])).status_code == 200
    assert (await client.get(f"{prefix}/jobs")).json()["jobs"][0]["links"] == job["links"]


@pytest.mark.parametrize("suffix", ["", "/events"])
async def test_head_is_get_without_a_body(suffix: str) -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    path = (await post(client)).headers["location"]
    durable.succeed(path.rpartition("/")[2])
    for each in (path + suffix, "/jobs"):
        get, head = await client.get(each), await client.head(each)
        assert (head.status_code, head.headers) == (get.status_code, get.headers)
    assert (await client.head(f"/jobs/{NOBODYS}{suffix}")).status_code == 404


PRIMES = KernelChoice(import_path="examples.primes:KERNEL")


async def test_another_kernel_has_the_same_routes() -> None:
    settings = Settings(kernels=(*Settings().kernels, PRIMES))
    durable = MemoryJobs(settings)
    client = Client(settings, durable=durable)
    response = await client.post("/primes", json={"first": 0, "num_numbers": 100}, headers=ASYNC)
    job = response.json()
    assert (response.status_code, job["kernel"]) == (202, "primes")
    assert (job["progress"]["numbers"], job["progress"]["total_numbers"]) == (0, 100)
    durable.succeed(job["job_id"])
    assert (await client.get(job["links"]["self"])).json()["result"]["num_primes"] == 25
    await post(client)
    assert [each["kernel"] for each in (await client.get("/jobs")).json()["jobs"]] == ["fibonacci", "primes"]
    document = (await client.get("/openapi.json")).json()
    assert "PrimesDurableJobResponse" in document["components"]["schemas"]
    assert document["paths"]["/primes"]["post"]["responses"]["202"]["links"]


async def test_one_key_is_not_for_two_kernels() -> None:
    settings = Settings(kernels=(*Settings().kernels, PRIMES))
    client = Client(settings, durable=MemoryJobs(settings))
    headers = ASYNC | {"Idempotency-Key": "one"}
    assert (await client.post("/primes", json={}, headers=headers)).status_code == 202
    reused = await client.post("/fibonacci", json={}, headers=headers)
    assert_problem(reused, 422, "/problems/idempotency-key-reused")


async def test_a_large_answer_is_the_same() -> None:
    settings = Settings(kernels=(KernelChoice(import_path="examples.mandelbrot:KERNEL"),))
    durable = MemoryJobs(settings)
    client = Client(settings, durable=durable)
    response = await client.post("/mandelbrot", json={"num_rows": 10, "num_columns": 20}, headers=ASYNC)
    job = response.json()
    assert response.status_code == 202, job
    durable.succeed(job["job_id"])
    result = (await client.get(job["links"]["self"])).json()["result"]
    answer = (await client.post("/mandelbrot", json={"num_rows": 10, "num_columns": 20})).json()
    own = set(answer) - {"job_id", "timing", "verification", "batches"}
    assert {name: result[name] for name in own} == {name: answer[name] for name in own}


@pytest.mark.parametrize(
    ("offered_now", "said"),
    [
        (Settings(kernels=(PRIMES,)), "the kernel fibonacci is not offered any more"),
        (Settings(kernels=fibonacci_with(max_sequence_size=10)), "the kernel fibonacci refuses the request now: seq"),
    ],
)
async def test_a_result_that_cannot_be_read_any_more_is_503(offered_now: Settings, said: str) -> None:
    durable = MemoryJobs()
    before = Client(durable=durable)
    succeeded, waiting = [(await post(before)).json()["job_id"] for _ in range(2)]
    durable.succeed(succeeded)
    after = Client(offered_now, durable=durable)
    for path in (f"/jobs/{succeeded}", f"/jobs/{succeeded}/events"):
        assert said in assert_problem(await after.get(path), 503, "/problems/jobs-unavailable")["detail"]
    job = (await after.get(f"/jobs/{waiting}")).json()
    assert job["progress"]["total_units" if "not offered" in said else "total_terms"] == 3000
    assert len((await after.get("/jobs")).json()["jobs"]) == 2


async def test_an_empty_job_is_whole_when_it_has_succeeded() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job = (await post(client, {"sequence_size": 0})).json()
    assert job["progress"]["fraction"] == 0
    durable.succeed(job["job_id"])
    assert (await client.get(job["links"]["self"])).json()["progress"]["fraction"] == 1


async def test_a_caller_that_leaves_leaves_its_durable_job_and_no_line(caplog: pytest.LogCaptureFixture) -> None:
    durable = MemoryJobs()
    client = Client(run_batch=wait_forever, durable=durable)
    leaving = asyncio.create_task(post(client, headers={"Prefer": "respond-async, wait=60"}))
    await until(lambda: bool(durable.records))
    leaving.cancel()
    await asyncio.wait([leaving])
    (record,) = durable.records.values()
    assert record.state is State.QUEUED
    assert caplog.records == []


async def test_what_goes_wrong_with_a_job_leaves_a_line_that_names_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "ray.serve")
    durable = MemoryJobs(unavailable="The keeper does not answer.")
    client = Client(durable=durable)
    await post(client)
    (record,) = caplog.records
    said = "503 job [0-9a-f]{32}: Durable jobs unavailable: The keeper does not answer."
    assert re.fullmatch(said, record.getMessage())
    durable.unavailable = None
    assert (await client.get(f"/jobs/{NOBODYS}")).status_code == 404
    assert len(caplog.records) == 1, "anybody can ask for any number of ids"


async def test_a_bug_does_not_stop_the_following(caplog: pytest.LogCaptureFixture) -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job_id = (await post(client)).json()["job_id"]
    changes = durable.changes

    async def broken(*_: object) -> None:
        durable.changes = changes  # type: ignore[method-assign]
        durable.succeed(job_id)
        raise RuntimeError("broken")

    durable.changes = broken  # type: ignore[assignment]
    assert (await client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=20"})).json()["done"]
    (record,) = caplog.records
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (None, None),
        (
            DurableCounts(available=True, queued=2, running=4, finished=118),
            {"available": True, "reason": None, "queued": 2, "running": 4, "finished": 118},
        ),
    ],
)
async def test_the_pool_counts_durable_jobs(counts: DurableCounts | None, told: dict[str, Any] | None) -> None:
    async def read_pool() -> PoolStatus:
        return replace(PoolStatus((), ()), durable=counts)

    assert (await Client(read_pool=read_pool).get("/pool")).json()["durable"] == told


@pytest.mark.parametrize("path", ["/jobs", "/jobs/{}", "/jobs/{}/events", "/jobs/{}/cancel"])
async def test_a_body_where_none_belongs_is_refused_before_anything_is_waited_for(path: str) -> None:
    """While a request waits, Serve keeps what comes in memory."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_000

    client = Client(durable=MemoryJobs())
    job_id = (await post(client)).json()["job_id"]
    method = "POST" if path.endswith("cancel") else "GET"
    for headers, content in (({}, endless()), ({"Content-Length": "70000"}, b"")):
        response = await client.request(
            method, path.format(job_id), headers={"Prefer": "wait=30"} | headers, content=content
        )
        assert response.status_code == 413
    assert (await client.request("POST", f"/jobs/{job_id}/cancel", json={})).status_code == 200


async def test_more_waits_than_there_are_places_for_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.jobs_api.MAX_CALLER_WAITS", 2)
    durable = MemoryJobs()
    client = Client(keys=KEYS, durable=durable)
    mine = {"Authorization": f"Bearer {ALICE}"}
    path = "/jobs/" + (await post(client, headers=mine)).json()["job_id"]
    waiting = [asyncio.create_task(client.get(path, headers=mine | {"Prefer": "wait=20"})) for _ in range(2)]
    await asyncio.sleep(0.1)
    third = await client.get(path, headers=mine | {"Prefer": "wait=20"})
    assert (third.json()["done"], third.headers.get("Preference-Applied")) == (False, None)
    durable.succeed(path.removeprefix("/jobs/"))
    assert [(await each).json()["done"] for each in waiting] == [True, True]


async def test_the_end_has_the_same_event_with_every_keeper() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job_id = (await post(client)).json()["job_id"]
    durable.succeed(job_id)
    told = (await client.get(f"/jobs/{job_id}/events")).text
    durable.epoch += 1
    last = re.findall("^id: (.*)$", told, re.MULTILINE)[-1]
    assert (await client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": last})).status_code == 204

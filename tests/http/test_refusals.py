"""Valid jobs that end without a result: status, type, Retry-After, and nothing of the inside."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from app.errors import WorkerLostError
from app.http.problem_pages import PROBLEM_TYPES
from app.job import Batch, BatchResult
from app.settings import Settings
from app.status import PoolStatus
from tests.http.client import Client, in_virtual_time, until, wait_forever

pytestmark = pytest.mark.anyio

SMALL_JOB = {"sequence_size": 10, "num_sequences": 1}
BIG_JOB = {"sequence_size": 1_000_000, "num_sequences": 100}


def assert_problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """It is a problem of that kind, with a title and a detail; returns its members."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, kind)
    assert problem["title"]
    assert problem["detail"]
    return problem


async def fail(worker_id: str, batch: Batch) -> BatchResult:
    """A worker whose code raises."""
    raise RuntimeError("the password is hunter2")


async def fail_to_read() -> PoolStatus:
    """A pool that cannot be read."""
    raise RuntimeError("the password is hunter2")


async def post_behind(client: Client, ahead: dict[str, int], body: dict[str, int]) -> httpx.Response:
    """Post a job while another is being computed."""
    first = asyncio.create_task(client.post("/fibonacci", json=ahead))
    await until(lambda: bool(client.batches))
    response = await client.post("/fibonacci", json=body)
    first.cancel()
    await asyncio.wait([first])
    return response


async def test_a_job_that_costs_too_much_is_422_with_its_cost_and_the_limit() -> None:
    client = Client(Settings(max_compute_seconds=5))
    problem = assert_problem(await client.post("/fibonacci", json=BIG_JOB), 422, "/problems/too-costly")
    assert problem["max_compute_seconds"] == 5
    assert problem["predicted_compute_seconds"] > 5
    assert client.batches == []


async def test_the_largest_job_is_refused_at_once() -> None:
    client = Client()
    body = {"sequence_size": 10_000_000, "num_sequences": 10_000}
    assert_problem(await client.post("/fibonacci", json=body), 422, "/problems/too-costly")
    assert client.batches == []


async def test_a_full_queue_is_429_and_says_when_to_come_back() -> None:
    client = Client(Settings(max_queued_seconds=10), wait_forever)
    response = await post_behind(client, BIG_JOB, BIG_JOB)
    problem = assert_problem(response, 429, "/problems/queue-full")
    assert int(response.headers["retry-after"]) == problem["retry_after_seconds"] > 1


async def test_retry_after_is_at_least_a_second() -> None:
    client = Client(Settings(max_queued_jobs=1), wait_forever)
    response = await post_behind(client, SMALL_JOB, SMALL_JOB)
    problem = assert_problem(response, 429, "/problems/queue-full")
    assert response.headers["retry-after"] == "1"
    assert problem["retry_after_seconds"] == 1


async def test_a_small_job_is_let_in_behind_a_big_one() -> None:
    client = Client(Settings(max_queued_seconds=10, max_timeout_seconds=0.05), wait_forever)
    response = await post_behind(client, BIG_JOB, SMALL_JOB)
    assert_problem(response, 504, "/problems/deadline")


async def test_after_the_big_job_is_gone_the_queue_is_empty_again() -> None:
    client = Client(Settings(max_queued_seconds=10), wait_forever)
    await post_behind(client, BIG_JOB, BIG_JOB)
    assert (client.dispatcher.num_unfinished_jobs, client.dispatcher.drain_seconds) == (0, 0.0)


@in_virtual_time
async def test_without_workers_a_job_waits_and_is_then_503() -> None:
    client, now = Client(Settings(worker_wait_seconds=30), workers=[]), asyncio.get_running_loop().time
    begun = now()
    response = await client.post("/fibonacci", json=SMALL_JOB)
    problem = assert_problem(response, 503, "/problems/no-worker")
    assert now() - begun == pytest.approx(30)
    assert int(response.headers["retry-after"]) == problem["retry_after_seconds"] >= 1


@in_virtual_time
async def test_long_without_workers_a_job_is_503_at_once() -> None:
    client, now = Client(Settings(worker_wait_seconds=30), workers=[]), asyncio.get_running_loop().time
    await asyncio.sleep(31)
    begun = now()
    assert_problem(await client.post("/fibonacci", json=SMALL_JOB), 503, "/problems/no-worker")
    assert now() == begun


async def test_both_runs_of_a_comparison_without_workers_are_one_503() -> None:
    client = Client(Settings(worker_wait_seconds=0.01), workers=[])
    response = await client.post("/fibonacci/compare", json=SMALL_JOB)
    assert_problem(response, 503, "/problems/no-worker")
    assert client.dispatcher.num_unfinished_jobs == 0


async def test_a_draining_service_takes_no_new_jobs() -> None:
    client = Client()
    client.dispatcher.draining = True
    response = await client.post("/fibonacci", json=SMALL_JOB)
    problem = assert_problem(response, 503, "/problems/draining")
    assert int(response.headers["retry-after"]) == problem["retry_after_seconds"] >= 1
    assert client.batches == []


async def test_a_draining_service_finishes_the_jobs_it_has() -> None:
    client = Client()
    posted = asyncio.create_task(client.post("/fibonacci", json={"sequence_size": 50_000}))
    await until(lambda: bool(client.batches))
    client.dispatcher.draining = True
    assert (await posted).status_code == 200


@in_virtual_time
@pytest.mark.parametrize(("asked_seconds", "given_seconds"), [(0.5, 0.5), (7, 7), (None, 20), (1e-320, 0)])
async def test_a_job_is_504_when_its_deadline_is_over(asked_seconds: float | None, given_seconds: float) -> None:
    client, now = Client(Settings(max_timeout_seconds=20), wait_forever), asyncio.get_running_loop().time
    begun = now()
    response = await client.post("/fibonacci", json=SMALL_JOB | {"timeout_seconds": asked_seconds})
    assert_problem(response, 504, "/problems/deadline")
    assert now() - begun == pytest.approx(given_seconds)
    assert client.dispatcher.num_unfinished_jobs == 0


async def test_worker_code_that_raises_is_500_with_nothing_inside() -> None:
    client = Client(run_batch=fail)
    response = await client.post("/fibonacci", json=SMALL_JOB, headers={"x-request-id": "req-1"})
    assert_problem(response, 500, "about:blank")
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The job could not be computed.",
        "request_id": "req-1",
    }


async def test_a_job_that_kills_every_worker_is_500() -> None:
    async def die(worker_id: str, batch: Batch) -> BatchResult:
        if batch.segments:
            raise WorkerLostError(worker_id)
        return BatchResult(worker_id, "node", (), 0.0, 0.0)

    client = Client(run_batch=die, workers=["a", "b", "c", "d"])
    assert_problem(await client.post("/fibonacci", json=SMALL_JOB), 500, "about:blank")
    assert len([batch for batch in client.batches if batch.segments]) == 3


async def test_an_unexpected_error_is_500_with_nothing_inside() -> None:
    client = Client(read_pool=fail_to_read)
    response = await client.get("/pool", headers={"x-request-id": "req-2"})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank", "title": "Internal Server Error", "status": 500, "request_id": "req-2",
    }  # fmt: skip


async def test_an_unexpected_error_is_logged_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await Client(read_pool=fail_to_read).get("/pool")
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None


async def test_without_a_request_id_the_body_has_none() -> None:
    client = Client()
    client.dispatcher.draining = True
    assert "request_id" not in (await client.post("/fibonacci", json=SMALL_JOB)).json()


@pytest.mark.parametrize("name", PROBLEM_TYPES)
async def test_every_problem_type_is_explained_by_a_page(name: str) -> None:
    response = await Client().get(f"/problems/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<h1>{PROBLEM_TYPES[name].status} {PROBLEM_TYPES[name].title}</h1>" in response.text


@pytest.mark.parametrize("name", ["nonsense", "", "<script>", "about:blank", "%2e%2e%2fdeadline"])
async def test_an_unknown_problem_page_is_404(name: str) -> None:
    response = await Client().get(f"/problems/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"

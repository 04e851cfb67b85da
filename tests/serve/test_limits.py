"""Deadlines, refusals and fairness through the real service."""

import time

import httpx

from harness import bounds
from harness.callers import LONG_JOB
from harness.service import Service
from tests.serve.callers import assert_short_jobs_are_short, running


def test_a_deadline_is_kept(client: httpx.Client) -> None:
    started_at = time.perf_counter()
    answer = client.post("/fibonacci", json={"sequence_size": 3_000_000, "num_sequences": 4, "timeout_seconds": 1.0})
    seconds = time.perf_counter() - started_at
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline")
    assert 1.0 <= seconds < 1.0 + bounds.DEADLINE


def test_a_job_too_costly_is_refused_with_its_cost(client: httpx.Client) -> None:
    started_at = time.perf_counter()
    answer = client.post("/fibonacci", json={"sequence_size": 10_000_000, "num_sequences": 10_000})
    assert time.perf_counter() - started_at < bounds.REFUSAL
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/too-costly")
    assert answer.json()["predicted_compute_seconds"] > answer.json()["max_compute_seconds"] == 600


def test_a_full_queue_refuses_and_says_when_to_come_back(client: httpx.Client, service: Service) -> None:
    with running(service, LONG_JOB):
        started_at = time.perf_counter()
        answer = client.post("/fibonacci", json=LONG_JOB)
        assert time.perf_counter() - started_at < bounds.REFUSAL
        assert (answer.status_code, answer.json()["type"]) == (429, "/problems/queue-full")
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) == answer.json()["retry_after_seconds"] >= 1


def test_a_short_job_does_not_wait_behind_a_long_one(client: httpx.Client, service: Service) -> None:
    with running(service, LONG_JOB):
        assert_short_jobs_are_short(client)


def test_the_pool_tells_of_work_at_once(client: httpx.Client, service: Service) -> None:
    with running(service, LONG_JOB):
        time.sleep(bounds.POOL_AGE)
        pool = client.get("/pool").json()
        assert [worker["state"] for worker in pool["workers"]] == ["busy", "busy"]
        assert pool["predicted_drain_seconds"] > 1


def test_serves_own_headers_change_nothing(client: httpx.Client) -> None:
    headers = {"x-request-timeout-seconds": "0.001", "x-request-disconnect-disabled": "?1"}
    answer = client.post("/fibonacci", json={"sequence_size": 200_000}, headers=headers)
    assert answer.status_code == 200

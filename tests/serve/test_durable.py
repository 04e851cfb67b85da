"""Durable jobs on the real service: they outlive their caller, their keeper, and the whole service."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from chaos.jobs import JobSpec, digest, true_digest
from harness import bounds
from harness.processes import alive, cpu_seconds, descendants, wait_until, workers
from harness.service import Service, launched

ASYNC = {"Prefer": "respond-async"}
KEEPER = "ray::ServeReplica:fibonacci:FibonacciKeeper"
GO_ON = re.compile(r"\d durable jobs? of before go(es)? on")
SHORT, LONG = JobSpec(1_000, 3), JobSpec(300_000, 200)
"""Milliseconds; about half a minute on two workers."""


@pytest.fixture
def submitted(client: httpx.Client) -> Iterator[list[str]]:
    """Ids of jobs that are forgotten after the test."""
    ids: list[str] = []
    yield ids
    for job_id in ids:
        client.delete(f"/jobs/{job_id}")


def submit(client: httpx.Client, job: JobSpec, **headers: str) -> dict[str, Any]:
    answer = client.post("/fibonacci", json=job.body, headers=ASYNC | headers)
    assert answer.status_code == 202, answer.text
    view: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == view["links"]["self"] == f"/jobs/{view['job_id']}"
    return view


def job(client: httpx.Client, job_id: str) -> dict[str, Any]:
    view: dict[str, Any] = client.get(f"/jobs/{job_id}").raise_for_status().json()
    return view


def done(client: httpx.Client, job_id: str, seconds: float = 120) -> dict[str, Any]:
    """The job once it is over; answers in between may fail."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        with contextlib.suppress(httpx.HTTPError):
            view = client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=10"}).raise_for_status().json()
            if view["done"]:
                return dict(view)
        time.sleep(0.1)
    raise AssertionError(f"{job_id} is not over after {seconds} s")


def test_a_job_is_accepted_at_once_and_computed_without_its_caller(client: httpx.Client, submitted: list[str]) -> None:
    with httpx.Client(base_url=client.base_url) as other:
        view = submit(other, SHORT)
    submitted.append(view["job_id"])
    over = done(client, view["job_id"])
    assert over["state"] == "succeeded"
    assert digest(over["result"]) == true_digest(SHORT)
    assert over["progress"]["fraction"] == 1.0


def test_events_tell_everything_until_the_end(client: httpx.Client, submitted: list[str]) -> None:
    """Through HAProxy, for longer than it waits for a client that is silent."""
    view = submit(client, JobSpec(300_000, 60))
    submitted.append(view["job_id"])
    seen, last_id = [], ""
    give_up_at = time.monotonic() + 100
    while "done" not in seen and time.monotonic() < give_up_at:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with client.stream("GET", view["links"]["events"], headers=headers, timeout=20) as stream:
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    seen.append(value)
                elif name == "id":
                    last_id = value
                elif name == "data" and seen[-1] == "done":
                    assert digest(json.loads(value)["result"]) == true_digest(JobSpec(300_000, 60))
    assert seen[0] == "job"
    assert "progress" in seen
    assert client.get(view["links"]["events"], headers={"Last-Event-ID": last_id}).status_code == 204


def test_a_cancelled_job_stops_and_stays_cancelled(
    client: httpx.Client, service: Service, submitted: list[str]
) -> None:
    view = submit(client, LONG)
    submitted.append(view["job_id"])
    wait_until(lambda: job(client, view["job_id"])["state"] == "running", 10, "it runs")
    cancelled = client.post(view["links"]["cancel"]).raise_for_status().json()
    assert cancelled["state"] == "cancelled"
    time.sleep(bounds.CANCELLED_CPU_IDLE)
    before = cpu_seconds(workers(service.process.pid))
    time.sleep(1.0)
    assert cpu_seconds(workers(service.process.pid)) - before < 0.2
    assert job(client, view["job_id"])["state"] == "cancelled"


def test_a_tiny_job_beside_a_durable_one_waits_for_hardly_more_than_a_slice(
    client: httpx.Client, submitted: list[str]
) -> None:
    view = submit(client, LONG)
    submitted.append(view["job_id"])
    wait_until(lambda: job(client, view["job_id"])["state"] == "running", 10, "it runs")
    took = []
    for _ in range(100):
        begun = time.perf_counter()
        client.post("/fibonacci", json=SHORT.body).raise_for_status()
        took.append(time.perf_counter() - begun)
    assert sorted(took)[98] < bounds.SHORT_JOB_BEHIND_LONG


def test_a_killed_keeper_is_replaced_and_goes_on(client: httpx.Client, service: Service, submitted: list[str]) -> None:
    view = submit(client, LONG, **{"Idempotency-Key": "killed"})
    submitted.append(view["job_id"])
    wait_until(lambda: job(client, view["job_id"])["progress"]["terms"] > 0, 20, "it is computed")
    (keeper,) = descendants(service.process.pid, KEEPER)
    keeper.kill()
    answer = client.post("/fibonacci", json=SHORT.body)
    assert answer.status_code == 200  # nobody else notices
    wait_until(lambda: is_resumed(client, view["job_id"]), bounds.KEEPER_REPLACED, "another keeper goes on")
    again = client.post("/fibonacci", json=LONG.body, headers=ASYNC | {"Idempotency-Key": "killed"})
    assert (again.status_code, again.json()["job_id"]) == (202, view["job_id"])
    over = done(client, view["job_id"])
    assert over["state"] == "succeeded"
    assert digest(over["result"]) == true_digest(LONG)


def is_resumed(client: httpx.Client, job_id: str) -> bool:
    try:
        return bool(job(client, job_id)["resumed"] == 1)
    except httpx.HTTPError:
        return False


def test_the_whole_service_is_killed_and_started_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first, rest = JobSpec(300_000, 120), [JobSpec(200_000, 4 + number) for number in range(6)]
    with launched("--cpus", "2", state=state) as service, httpx.Client(base_url=service.url) as client:
        ids = [submit(client, each)["job_id"] for each in (first, *rest)]
        wait_until(lambda: job(client, ids[0])["progress"]["terms"] > 0, 20, "it is computed")
        terms = job(client, ids[0])["progress"]["terms"]
        modes = {path.name: path.stat().st_mode & 0o777 for path in (state, *state.iterdir())}
        assert modes.pop("state") == 0o700
        assert set(modes.values()) == {0o600}, modes
        everything = [psutil.Process(service.process.pid), *descendants(service.process.pid)]
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: not alive(everything), 30, "all is dead")
    with launched("--cpus", "2", state=state) as service, httpx.Client(base_url=service.url) as client:
        wait_until(lambda: any(GO_ON.search(line) for line in service.output), bounds.DURABLE_AGAIN, "it says so")
        view = job(client, ids[0])
        assert view["progress"]["terms"] >= terms
        assert view["resumed"] == 1
        for job_id, each in zip(ids, (first, *rest), strict=True):
            over = done(client, job_id)
            assert over["state"] == "succeeded"
            assert digest(over["result"]) == true_digest(each)
        client.post("/fibonacci", json=JobSpec(1_000_000, 500).body, headers=ASYNC).raise_for_status()
        assert service.stop(timeout_seconds=bounds.SHUTDOWN) == 0
        assert any("1 durable job will go on at the next start" in line for line in service.output)

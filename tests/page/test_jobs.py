"""The last jobs and a job's own view: its batches, its command, its trace; durable ones with progress and an end."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.processes import wait_until
from harness.service import Service
from tests.page.conftest import OpenPage
from tests.page.visits import TIMES, Visit

JOB = {"sequence_size": 300_000, "num_sequences": 6}
HOURS = {"sequence_size": 1_000_000, "num_sequences": 300}


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as opened:
        yield opened


def posted(client: httpx.Client, body: dict[str, Any], path: str = "/fibonacci") -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, json=body).raise_for_status().json()
    return answer


def row_of(opened: Visit, job_id: str) -> list[str]:
    """Of the last jobs; nothing if it is not among them."""
    return next((row for row in opened.jobs() if row[0] == job_id[:8]), [])


def test_a_jobs_view_says_who_computed_what(client: httpx.Client, service: Service, visit: OpenPage) -> None:
    job = posted(client, JOB)
    opened = visit(service.url)
    wait_until(lambda: row_of(opened, job["job_id"]) != [], 10, "it is among the last jobs")
    opened.page.get_by_role("button", name=job["job_id"][:8]).click()
    wait_until(lambda: len(opened.rows("#job-dialog .scroll")) == len(job["batches"]), 10, "its batches are there")
    rows = opened.rows("#job-dialog .scroll")
    assert {row[0] for row in rows} == {batch["worker_id"] for batch in job["batches"]}
    assert sum(int(row[1].split()[0].replace(",", "")) for row in rows) == 1_800_000
    assert {row[2] for row in rows} == {"1"}
    assert f"6 {TIMES} 300,000 terms" in opened.text("#job-facts")
    assert opened.link == f"#job={job['job_id']}"
    opened.page.locator("#job-close").click()
    wait_until(lambda: not opened.link, 5, "the address names no job any more")


def test_its_command_posts_the_same_job(client: httpx.Client, service: Service, visit: OpenPage) -> None:
    job = posted(client, {"sequence_size": 1_000, "num_sequences": 3, "execution": "local"})
    opened = visit(f"{service.url}/#job={job['job_id']}")
    opened.page.locator("#job-curl").wait_for()
    command = opened.page.locator("#job-curl").input_value()
    opened.page.locator("#job-copy-curl").click()
    wait_until(lambda: opened.text("#job-copy-curl") == "Copied", 5, "it is in the clipboard")
    again = json.loads(subprocess.check_output(shlex.split(command), text=True, timeout=30))
    assert (again["sizes"], again["execution"]) == (job["sizes"], "local")


def test_its_trace_is_one_of_chromes(client: httpx.Client, service: Service, visit: OpenPage) -> None:
    job = posted(client, JOB)
    opened = visit(f"{service.url}/#job={job['job_id']}")
    opened.page.locator("#job-trace:enabled").wait_for()
    with opened.page.expect_download() as caught:
        opened.page.locator("#job-trace").click()
    events = json.loads(caught.value.path().read_text())["traceEvents"]
    assert caught.value.suggested_filename == f"job-{job['job_id'][:8]}.trace.json"
    assert len([event for event in events if event["ph"] == "X" and event["tid"] > 0]) == len(job["batches"])
    assert {event["name"] for event in events if event["ph"] == "M"} == {"process_name", "thread_name"}


def test_a_job_that_nobody_knows_is_told_as_such(service: Service, visit: OpenPage) -> None:
    allowed = ("Failed to load resource: the server responded with a status of 404",)
    opened = visit(f"{service.url}/#job={32 * '0'}", allowed=allowed)
    opened.page.locator("#job-note").wait_for()
    assert "No job of yours has this id" in opened.text("#job-note")


def test_the_filter_finds_jobs_by_state_and_by_id(client: httpx.Client, service: Service, visit: OpenPage) -> None:
    client.post("/fibonacci", json={"sequence_size": 10_000_000, "num_sequences": 10_000})  # too costly
    job = posted(client, {"sequence_size": 10, "num_sequences": 1})
    opened = visit(service.url)
    wait_until(lambda: row_of(opened, job["job_id"]) != [], 10, "it is among the last jobs")
    opened.page.locator("#jobs-text").fill(job["job_id"][:8])
    wait_until(lambda: len(opened.jobs()) == 1, 5, "one is left")
    opened.page.locator("#jobs-state").select_option("cancelled")
    wait_until(lambda: opened.text("#jobs-empty") == "No job matches.", 5, "none is left")


def test_a_durable_job_has_its_progress_a_link_and_can_be_cancelled(
    client: httpx.Client, service: Service, visit: OpenPage
) -> None:
    answer = client.post("/fibonacci", json=HOURS, headers={"Prefer": "respond-async"}).raise_for_status()
    job_id = answer.json()["job_id"]
    try:
        opened = visit(service.url)
        wait_until(lambda: "durable" in (row_of(opened, job_id) or ["", ""])[1], 15, "it is among the last jobs")
        wait_until(lambda: "%" in row_of(opened, job_id)[2], 20, "it runs")
        assert "running" in opened.text("#jobs-durable")
        opened.page.get_by_role("button", name=job_id[:8]).click()
        assert opened.page.locator("#job-self").get_attribute("href") == f"jobs/{job_id}"
        wait_until(lambda: len(opened.rows("#job-dialog .scroll")) > 2, 20, "its batches are told while it runs")
        opened.shot("durable", whole=False)
        cancel = opened.page.locator("#job-cancel button")
        cancel.click()
        assert cancel.inner_text() == "Cancel for good?"
        cancel.click()
        wait_until(lambda: "cancelled" in opened.text("#job-facts"), 15, "it is cancelled")
    finally:
        client.delete(f"/jobs/{job_id}")

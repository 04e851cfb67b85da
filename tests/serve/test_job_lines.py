"""Each job leaves one line in the file beside the log of its replica."""

import re

import httpx

from harness.processes import wait_until
from harness.service import Service
from tests.serve.callers import leave_a_job
from tests.serve.job_lines import line_of, lines_with

JOB = {"sequence_size": 1_000, "num_sequences": 3}
TOO_COSTLY = {"sequence_size": 10_000_000, "num_sequences": 10_000}


def test_an_answered_job_leaves_a_line(service: Service, client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json=JOB).raise_for_status()
    job = answer.json()
    line = line_of(service, job["job_id"])
    assert (line["request_id"], line["outcome"]) == (answer.headers["x-request-id"], "succeeded")
    assert (line["kernel"], line["execution"], line["durable"], line["caller"]) == (
        "fibonacci", "distributed", "false", "",
    )  # fmt: skip
    assert int(line["num_batches"]) == job["timing"]["num_batches"]
    assert abs(float(line["total_seconds"]) - job["timing"]["total_seconds"]) < 0.000_002
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_a_refused_job_leaves_one(service: Service, client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json=TOO_COSTLY)
    line = line_of(service, answer.headers["x-request-id"])
    assert (answer.status_code, line["outcome"], line["error"]) == (422, "refused", "too-costly")


def test_both_jobs_of_a_comparison_leave_one(service: Service, client: httpx.Client) -> None:
    answer = client.post("/fibonacci/compare", json=JOB).raise_for_status()
    request_id = answer.headers["x-request-id"]
    wait_until(lambda: len(lines_with(service, request_id)) == 2, 5, "both lines are written")
    lines = lines_with(service, request_id)
    assert [re.findall(r"execution=(\w+)", line) for line in lines] == [["local"], ["distributed"]]


def test_a_job_whose_caller_leaves_leaves_one(service: Service, client: httpx.Client) -> None:
    line = line_of(service, leave_a_job(service, client))
    assert (line["outcome"], line["error"]) == ("cancelled", "cancelled")
    assert float(line["predicted_seconds"]) > 0


def test_a_durable_job_leaves_one_in_the_keepers_file(service: Service, client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json=JOB, headers={"Prefer": "respond-async"}).raise_for_status()
    line = line_of(service, answer.json()["job_id"], "FibonacciKeeper")
    assert (line["durable"], line["outcome"], line["kernel"]) == ("true", "succeeded", "fibonacci")
    assert lines_with(service, answer.json()["job_id"]) == []


def test_the_launcher_says_where_they_are(service: Service) -> None:
    assert f"a line for each job in {service.logs}/serve/jobs_*.log\n" in service.output

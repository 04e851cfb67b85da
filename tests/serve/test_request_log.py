"""The id of an answer leads to its line in the log of the running service."""

import uuid

import httpx

from harness.callers import LONG_JOB
from harness.processes import wait_until
from harness.service import Service
from tests.serve.callers import leave_a_job, running

SLOW_JOB = {"sequence_size": 3_000_000, "num_sequences": 4, "timeout_seconds": 0.5}
TOO_COSTLY = {"sequence_size": 10_000_000, "num_sequences": 10_000}


def lines_with(service: Service, request_id: str) -> list[str]:
    """Of all that Serve has logged so far."""
    logs = service.logs
    files = (logs / "serve").glob("replica_*FibonacciIngress*.log")
    return [line for path in files for line in path.read_text().splitlines() if request_id in line]


def line_of(service: Service, request_id: str) -> str:
    """The only one with this id."""
    wait_until(lambda: bool(lines_with(service, request_id)), 5, "it is logged")
    (line,) = lines_with(service, request_id)
    return line


def test_a_deadline_leaves_a_line(service: Service, client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json=SLOW_JOB)
    line = line_of(service, answer.json()["request_id"])
    assert answer.status_code == 504
    assert line.startswith("ERROR ")
    assert " 504 job " in line
    assert line.endswith(": Deadline exceeded: Not finished within 0.5 s.")


def test_a_refusal_leaves_a_line(service: Service, client: httpx.Client) -> None:
    with running(service, LONG_JOB):
        full = client.post("/fibonacci", json=LONG_JOB)
    costly = client.post("/fibonacci/compare", json=TOO_COSTLY)
    assert (full.status_code, costly.status_code) == (429, 422)
    for answer in (full, costly):
        line = line_of(service, answer.headers["x-request-id"])
        assert line.startswith("WARNING ")
        assert f" {answer.status_code} job " in line
        assert line.endswith(f"{answer.json()['title']}: {answer.json()['detail']}")


def test_a_job_whose_caller_leaves_leaves_a_line(service: Service, client: httpx.Client) -> None:
    line = line_of(service, leave_a_job(service, client))
    assert " 499 job " in line
    assert line.endswith(": Caller left")


def test_of_two_ids_the_first_is_the_one_in_answer_and_log(service: Service) -> None:
    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    ids = [("x-request-id", first), ("x-request-id", second)]
    answer = httpx.post(f"{service.url}/fibonacci", json=TOO_COSTLY, headers=ids)
    assert answer.headers.get_list("x-request-id") == [first]
    assert answer.json()["request_id"] == first
    assert f" {first} " in line_of(service, first)
    assert lines_with(service, second) == []


def test_what_is_wrong_with_a_request_itself_leaves_none(service: Service, client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json={"sequence_size": -1})
    line_of(service, client.post("/fibonacci", json=TOO_COSTLY).headers["x-request-id"])  # so far is written by now
    assert lines_with(service, answer.headers["x-request-id"]) == []

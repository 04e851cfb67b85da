"""Callers whose jobs run meanwhile, or have to be short, and their keys."""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from harness import bounds
from harness.callers import answer_of, open_request
from harness.processes import wait_until
from harness.raw_socket import RawConnection, request
from harness.service import Service


def make_key(name: str) -> tuple[str, str]:
    """A new key and its line, as `make key` prints them."""
    command = [sys.executable, "-m", "deployments.new_key", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    key, line = [text.strip() for text in done.stdout.splitlines() if text.startswith("  ")]
    return key, line


def leave_a_job(service: Service, client: httpx.Client) -> str:
    """The request id of a caller that has left its job."""
    request_id = uuid.uuid4().hex
    with RawConnection(service.url) as connection:
        body = b'{"sequence_size": 10000000, "num_sequences": 1}'
        connection.send(request(body, headers=b"X-Request-Id: " + request_id.encode() + b"\r\n"))
        wait_until(lambda: client.get("/pool").json()["unfinished_jobs"] == 1, 10, "the job runs")
    return request_id


def assert_short_jobs_are_short(client: httpx.Client) -> None:
    """One that was slow has a second go: others may have had the machine."""
    p99s = [_short_job_p99_seconds(client)]
    if p99s[0] >= bounds.SHORT_JOB_BEHIND_LONG:
        p99s.append(_short_job_p99_seconds(client))
    assert min(p99s) < bounds.SHORT_JOB_BEHIND_LONG, p99s


def _short_job_p99_seconds(client: httpx.Client) -> float:
    """Of 300 jobs of a millisecond, one after the other: the time that all but the slowest three keep."""
    seconds = []
    for _ in range(300):
        started_at = time.perf_counter()
        client.post("/fibonacci", json={"sequence_size": 1_000, "num_sequences": 1}).raise_for_status()
        seconds.append(time.perf_counter() - started_at)
    return sorted(seconds)[-4]


@contextmanager
def running(service: Service, body: dict[str, object]) -> Iterator[None]:
    """The job runs while the block does; then its caller leaves."""
    with httpx.Client(base_url=service.url) as client:

        def unfinished() -> int:
            count: int = client.get("/pool").json()["unfinished_jobs"]
            return count

        with open_request(service, body) as connection:
            wait_until(lambda: unfinished() > 0 or answer_of(connection) != b"", 10, "the job runs")
            assert not answer_of(connection)
            yield
        wait_until(lambda: unfinished() == 0, 10, "the job is gone")

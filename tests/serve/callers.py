"""Callers on a bare socket: they send as they like, and leave when they like."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from deployments.launched import Service
from tests.serve import bounds
from tests.serve.processes import wait_until

LONG_JOB: dict[str, object] = {"sequence_size": 10_000_000, "num_sequences": 1}
"""Minutes of computing, on two cores."""


def open_request(service: Service, body: dict[str, object], pause_seconds: float = 0.0, key: str = "") -> socket.socket:
    """Send a job: its body together with its head, or after a pause. Closing the socket is leaving."""
    url = httpx.URL(service.url)
    connection = socket.create_connection((url.host, url.port or 80))
    content = json.dumps(body).encode()
    head = (
        "POST /fibonacci HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + (f"Authorization: Bearer {key}\r\n" if key else "")
        + f"Content-Length: {len(content)}\r\n\r\n"
    ).encode()
    if pause_seconds:
        connection.sendall(head)
        time.sleep(pause_seconds)
        connection.sendall(content)
    else:
        connection.sendall(head + content)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """What has come back so far; nothing while the job runs."""
    try:
        return connection.recv(65_536, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def is_ended_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side ends the connection by then without an answer, or with a 5xx."""
    connection.settimeout(seconds)
    try:
        answer = connection.recv(65_536)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return not answer or answer.split(b" ", 2)[1:2] >= [b"500"]


def make_key(name: str) -> tuple[str, str]:
    """A new key and its line, as `make key` prints them."""
    command = [sys.executable, "-m", "deployments.new_key", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    key, line = [text.strip() for text in done.stdout.splitlines() if text.startswith("  ")]
    return key, line


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

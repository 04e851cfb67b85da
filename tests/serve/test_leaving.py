"""A caller that leaves: its computing stops, and nobody else's does."""

import json
import threading
import time
from contextlib import AbstractContextManager

import httpx
import pytest

from harness import bounds
from harness.callers import LONG_JOB, answer_of, open_request
from harness.processes import cpu_seconds, wait_until, workers
from harness.raw_socket import RawConnection, request
from harness.service import Service


@pytest.mark.parametrize("pause_seconds", [0.0, 0.005])
def test_the_cpu_is_idle_soon_after_a_caller_left(service: Service, pause_seconds: float) -> None:
    assert_computing_ends_with(open_request(service, LONG_JOB, pause_seconds), service)


def test_no_caller_can_have_its_job_go_on_without_it(service: Service) -> None:
    """With this header Serve does not say that the caller has left."""
    connection = RawConnection(service.url)
    connection.send(request(json.dumps(LONG_JOB).encode(), headers=b"x-request-disconnect-disabled: ?1\r\n"))
    assert_computing_ends_with(connection, service)


def assert_computing_ends_with(caller: AbstractContextManager[object], service: Service) -> None:
    processes = workers(service.process.pid)
    with caller:
        before = cpu_seconds(processes)
        wait_until(lambda: cpu_seconds(processes) - before > 1.0, 10, "both workers compute")
    time.sleep(bounds.CANCELLED_CPU_IDLE)
    settled = cpu_seconds(processes)
    time.sleep(1.0)
    assert cpu_seconds(processes) - settled < 0.15  # what idle Ray workers use, and the clock's ticks


def test_a_caller_that_leaves_takes_no_batch_mate_along(service: Service, client: httpx.Client) -> None:
    long_job = open_request(service, LONG_JOB, 0.0)
    answers: list[httpx.Response] = []

    def stay() -> None:
        body = {"sequence_size": 2_000, "num_sequences": 1}
        answers.extend(client.post("/fibonacci", json=body) for _ in range(20))

    stayer = threading.Thread(target=stay)
    stayer.start()
    while stayer.is_alive():  # callers whose small jobs ride with the stayer's, and who leave at once
        leavers = [open_request(service, {"sequence_size": 2_000, "num_sequences": 1}, 0.0) for _ in range(4)]
        time.sleep(0.020)
        for leaver in leavers:
            leaver.close()
    assert not answer_of(long_job)
    long_job.close()
    assert [answer.status_code for answer in answers] == [200] * 20
    # A batch that is cancelled under a stayer would be sent again, and the stayer would only wait a little longer.
    assert all(batch["attempts"] == 1 for answer in answers for batch in answer.json()["batches"])
    wait_until(lambda: client.get("/pool").json()["unfinished_jobs"] == 0, 10, "nothing is left in the queue")

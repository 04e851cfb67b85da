"""Workers that die: the caller does not notice."""

import re
import threading

import httpx

from harness import bounds
from harness.processes import alive, wait_until, workers
from harness.service import Service


def alive_workers(client: httpx.Client) -> int:
    pool = client.get("/pool").json()
    return sum(worker["state"] != "silent" for worker in pool["workers"])


def states_told_in_time(client: httpx.Client) -> list[str]:
    """What GET /pool says of the workers; it may neither fail nor wait because one of them is dead."""
    answer = client.get("/pool")
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < bounds.POOL_ANSWER
    return sorted(worker["state"] for worker in answer.json()["workers"])


def ingress_log(service: Service) -> str:
    """What Serve has written for the ingress replica."""
    return "".join(path.read_text() for path in (service.logs / "serve").glob("replica_*FibonacciIngress*.log"))


def test_a_killed_worker_is_invisible_to_the_caller(client: httpx.Client, service: Service) -> None:
    answers: list[httpx.Response] = []
    body = {"sequence_size": 100_000, "num_sequences": 200}
    caller = threading.Thread(target=lambda: answers.append(client.post("/fibonacci", json=body)))
    before = {process.pid for process in workers(service.process.pid)}
    caller.start()
    with httpx.Client(base_url=service.url) as other:
        wait_until(lambda: other.get("/pool").json()["unfinished_jobs"] == 1, 10, "the job runs")
        workers(service.process.pid)[0].kill()
        caller.join()
        answer = answers[0].raise_for_status().json()
        assert answer["sizes"] == [100_000] * 200
        assert max(batch["attempts"] for batch in answer["batches"]) == 2
        wait_until(lambda: alive_workers(other) == 2, bounds.WORKER_REPLACED, "the worker is replaced")
    assert re.search(r"^WARNING 20.* a batch was lost with worker", ingress_log(service), re.MULTILINE)
    assert len({process.pid for process in workers(service.process.pid)} - before) == 1


def test_jobs_wait_while_no_worker_is_left(client: httpx.Client, service: Service) -> None:
    for process in workers(service.process.pid):
        process.kill()
    answer = client.post("/fibonacci", json={"sequence_size": 10, "num_sequences": 1})
    assert answer.raise_for_status().json()["sizes"] == [10]
    wait_until(lambda: alive_workers(client) == 2, bounds.WORKER_REPLACED, "both are replaced")


def test_a_frozen_worker_holds_up_no_job_and_is_replaced(client: httpx.Client, service: Service) -> None:
    frozen = workers(service.process.pid)[0]
    frozen.suspend()
    wait_until(lambda: states_told_in_time(client) == ["idle", "silent"], 2 * bounds.POOL_AGE, "it is told as silent")
    for _ in range(8):  # each worker is sent some of them
        answer = client.post("/fibonacci", json={"sequence_size": 10, "num_sequences": 1})
        assert answer.raise_for_status().json()["sizes"] == [10]
        assert answer.elapsed.total_seconds() < bounds.FROZEN_WORKER
    wait_until(lambda: not alive([frozen]), bounds.WORKER_REPLACED, "the frozen one is ended")
    wait_until(lambda: alive_workers(client) == 2, bounds.WORKER_REPLACED, "it is replaced")

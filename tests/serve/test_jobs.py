"""Jobs through the real service: the same answers as a direct computation, really made by several processes."""

import hashlib
import sys
import time

import httpx
import pytest

from chaos.rows.deploying import attach
from chaos.stage import Stage
from harness import bounds
from harness.processes import cpu_seconds, workers
from harness.service import Service


def fibonacci(index: int) -> int:
    a, b = 0, 1
    for _ in range(index):
        a, b = b, a + b
    return a


@pytest.mark.parametrize("sequence_size", [0, 1, 2, 10, 1_000, 100_000])
@pytest.mark.parametrize("execution", ["local", "distributed"])
def test_the_answer_is_that_of_a_direct_computation(client: httpx.Client, sequence_size: int, execution: str) -> None:
    body = {"sequence_size": sequence_size, "num_sequences": 3, "execution": execution}
    answer = client.post("/fibonacci", json=body).raise_for_status().json()
    assert answer["sizes"] == [sequence_size] * 3
    assert sum(batch["num_terms"] for batch in answer["batches"]) == 3 * sequence_size
    if sequence_size == 0:
        assert answer["last_term"] is None
        return
    term = fibonacci(sequence_size - 1)
    sys.set_int_max_str_digits(30_000)
    assert answer["last_term"] == {
        "index": sequence_size - 1,
        "num_digits": len(str(term)),
        "bit_length": term.bit_length(),
        "sha256": hashlib.sha256(term.to_bytes(max(1, (term.bit_length() + 7) // 8), "big")).hexdigest(),
    }


def test_a_distributed_job_is_computed_in_several_processes(client: httpx.Client, service: Service) -> None:
    before = {process.pid: cpu_seconds([process]) for process in workers(service.process.pid)}
    answer = client.post("/fibonacci", json={"num_sequences": 32}).raise_for_status().json()
    after = {process.pid: cpu_seconds([process]) for process in workers(service.process.pid)}
    assert answer["timing"]["num_workers"] == 2
    assert sum(after[pid] - before[pid] > 0.05 for pid in before) == 2


def test_one_long_sequence_is_cut_over_the_pool(client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json={"sequence_size": 500_000, "num_sequences": 1}).json()
    assert answer["sizes"] == [500_000]
    assert {batch["worker_id"] for batch in answer["batches"]} == {
        worker["worker_id"] for worker in client.get("/pool").json()["workers"]
    }
    assert answer["verification"] == {"num_segments": len(answer["batches"]), "num_recomputed": 0}


def test_a_local_job_is_one_call_to_one_worker(client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json={"num_sequences": 8, "execution": "local"}).json()
    assert answer["timing"]["num_workers"] == 1
    assert len(answer["batches"]) == 1


def test_the_tutorials_job_is_the_default(client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json={}).raise_for_status().json()
    assert (answer["sequence_size"], answer["num_sequences"]) == (100_000, 2)


def test_compare_really_runs_both(client: httpx.Client) -> None:
    answer = client.post("/fibonacci/compare", json={"num_sequences": 4}).raise_for_status().json()
    local, distributed = answer["local"], answer["distributed"]
    assert (local["execution"], distributed["execution"]) == ("local", "distributed")
    ratio = local["timing"]["total_seconds"] / distributed["timing"]["total_seconds"]
    assert answer["speedup"] == pytest.approx(ratio)
    assert answer["efficiency"] == pytest.approx(ratio / answer["pool_workers"])


def test_the_request_id_comes_back(client: httpx.Client) -> None:
    answer = client.post("/fibonacci", json={"sequence_size": 1}, headers={"x-request-id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert "total;dur=" in answer.headers["server-timing"]


def test_the_pool_is_the_clusters_cpus(client: httpx.Client) -> None:
    pool = client.get("/pool").raise_for_status().json()
    assert len(pool["workers"]) == 2
    assert all(worker["state"] in ("busy", "idle") for worker in pool["workers"])
    assert client.get("/readyz").status_code == client.get("/livez").status_code == 200


def test_an_empty_batch_which_asks_whether_a_worker_lives_is_not_counted(
    client: httpx.Client, service: Service
) -> None:
    before = completed_batches(client)
    assert attach(Stage(service, 2), "ask") == {"segments": 0}
    client.post("/fibonacci", json={"sequence_size": 10, "num_sequences": 1}).raise_for_status()
    assert completed_batches(client) == before + 1


def completed_batches(client: httpx.Client) -> int:
    """Of all workers, from an answer that is not older than the question."""
    until = time.monotonic() + bounds.POOL_AGE
    while True:
        workers = client.get("/pool").json()["workers"]
        if time.monotonic() > until:
            return sum(worker["completed_batches"] for worker in workers)
        time.sleep(0.1)

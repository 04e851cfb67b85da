"""Other kernels beside Fibonacci, in the real service: two routes more, one pool, one queue, one admission."""

import base64
import threading
from collections.abc import Iterator

import httpx
import pytest

from harness import bounds
from harness.config import Config, changed_config
from harness.processes import cpu_seconds, wait_until, workers
from harness.service import Service, launched

MILLION: dict[str, object] = {"first": 0, "num_numbers": 1_000_000}
PRIMES_BELOW_A_MILLION = 78_498
SECONDS = {"first": 1_000_000_000, "num_numbers": 100_000_000}
"""Several core-seconds."""
PRIMES_IN_SECONDS = 4_814_936
"""pi(1.1e9) - pi(1e9), by a program that shares no code with this one."""


def with_examples(config: Config) -> None:
    """All that are in examples/, and Fibonacci."""
    names = ("examples.primes:KERNEL", "examples.mandelbrot:KERNEL")
    config["applications"][0]["args"]["kernels"] += [{"import_path": name} for name in names]


@pytest.fixture(scope="module")
def kernels() -> Iterator[Service]:
    with changed_config(with_examples) as path, launched("--cpus", "2", "--config", str(path)) as service:
        yield service


@pytest.fixture
def client(kernels: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=kernels.url, timeout=120) as opened:
        yield opened


def answer_to(client: httpx.Client, path: str, body: dict[str, object]) -> dict[str, object]:
    answer: dict[str, object] = client.post(path, json=body).raise_for_status().json()
    return answer


def test_each_has_its_routes_and_its_own_models(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    posted = {path for path, operations in document["paths"].items() if "post" in operations}
    names = ("fibonacci", "primes", "mandelbrot")
    assert posted == {f"/{name}{end}" for name in names for end in ("", "/compare")} | {"/jobs/{job_id}/cancel"}
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids)
    assert {"JobRequest", "PrimesJobRequest", "MandelbrotJobResponse"} <= set(document["components"]["schemas"])


def test_all_of_them_compute(client: httpx.Client) -> None:
    assert answer_to(client, "/fibonacci", {"sequence_size": 1_000, "num_sequences": 2})["sizes"] == [1_000] * 2
    primes = answer_to(client, "/primes", MILLION)
    assert (primes["num_primes"], primes["num_counted"]) == (PRIMES_BELOW_A_MILLION, 1_000_000)
    picture = answer_to(client, "/mandelbrot", {"num_rows": 200, "num_columns": 300})
    assert isinstance(picture["png"], str)
    assert base64.b64decode(picture["png"]).startswith(b"\x89PNG\r\n")


def test_the_largest_picture_is_the_same_from_one_worker_and_from_all(client: httpx.Client) -> None:
    answer = client.post("/mandelbrot/compare", json={"num_rows": 800, "num_columns": 800}).raise_for_status().json()
    assert answer["local"]["png"] == answer["distributed"]["png"]
    assert len(answer["distributed"]["batches"]) > 1
    assert answer["speedup"] > 0


def test_primes_are_counted_by_both_workers(client: httpx.Client) -> None:
    answer = client.post("/primes", json=SECONDS).raise_for_status().json()
    assert answer["num_primes"] == PRIMES_IN_SECONDS
    assert sum(batch["num_numbers"] for batch in answer["batches"]) == SECONDS["num_numbers"]
    assert answer["timing"]["num_workers"] == 2
    assert answer["verification"]["num_segments"] > 4


def test_a_worker_that_is_killed_is_not_noticed(client: httpx.Client, kernels: Service) -> None:
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(client.post("/primes", json=SECONDS)))
    caller.start()
    with httpx.Client(base_url=kernels.url) as other:
        wait_until(lambda: other.get("/pool").json()["unfinished_jobs"] == 1, 10, "the job runs")
        workers(kernels.process.pid)[0].kill()
        caller.join()
        assert answers[0].raise_for_status().json()["num_primes"] == PRIMES_IN_SECONDS
        wait_until(lambda: len(other.get("/pool").json()["workers"]) == 2, bounds.WORKER_REPLACED, "it is replaced")


def test_what_is_too_costly_is_refused(client: httpx.Client) -> None:
    refusal = client.post("/primes", json={"first": 10**10, "num_numbers": 10**10})
    assert (refusal.status_code, refusal.json()["type"]) == (422, "/problems/too-costly")
    assert refusal.elapsed.total_seconds() < bounds.REFUSAL


def test_computing_stops_when_its_caller_leaves(client: httpx.Client, kernels: Service) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/primes", json={"first": 10**9, "num_numbers": 10**9}, timeout=2)
    wait_until(lambda: client.get("/pool").json()["unfinished_jobs"] == 0, 5, "the job is gone")
    wait_until(lambda: is_idle(kernels), bounds.CANCELLED_CPU_IDLE + 1.0, "the workers are idle")


def is_idle(service: Service) -> bool:
    before = cpu_seconds(workers(service.process.pid))
    threading.Event().wait(0.3)
    return cpu_seconds(workers(service.process.pid)) - before < 0.1


def test_a_tiny_job_of_one_kernel_does_not_wait_behind_a_long_one_of_another(client: httpx.Client) -> None:
    caller = threading.Thread(target=lambda: client.post("/primes", json=SECONDS))
    caller.start()
    with httpx.Client(base_url=client.base_url) as other:
        wait_until(lambda: other.get("/pool").json()["unfinished_jobs"] == 1, 10, "the job runs")
        seconds = []
        for _ in range(20):
            answer = other.post("/fibonacci", json={"sequence_size": 100, "num_sequences": 1}).raise_for_status()
            seconds.append(answer.elapsed.total_seconds())
        assert sorted(seconds)[-2] < bounds.SHORT_JOB_BEHIND_LONG
    caller.join()

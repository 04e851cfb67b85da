"""POST /fibonacci: the answer, field by field."""

import asyncio
import hashlib
import itertools
import re
from dataclasses import replace

import pytest

from app.errors import WorkerLostError
from app.http.api import IDS_AT_ONCE, job_ids
from app.job import Batch, BatchResult
from app.settings import Settings
from tests.http.client import Client, compute_batch, until, wait_forever
from tests.tasks import fibonacci_with

pytestmark = pytest.mark.anyio

TINY_BATCHES = Settings(batch_floor_seconds=1e-6, batch_ceiling_seconds=1e-6, dispatch_cpu_seconds=0)


def fibonacci(index: int) -> int:
    """F(index) with Python's own integers."""
    lower, upper = 0, 1
    for _ in range(index):
        lower, upper = upper, lower + upper
    return lower


async def test_the_answer_has_exactly_the_documented_fields() -> None:
    answer = (await Client().post("/fibonacci", json={"sequence_size": 1000, "num_sequences": 3})).json()
    assert list(answer) == [
        "job_id", "execution", "sequence_size", "num_sequences", "sizes", "last_term", "verification", "timing",
        "batches",
    ]  # fmt: skip
    assert list(answer["last_term"]) == ["index", "num_digits", "bit_length", "sha256"]
    assert list(answer["verification"]) == ["num_segments", "num_recomputed"]
    assert list(answer["timing"]) == [
        "total_seconds", "queued_seconds", "compute_seconds", "parallelism", "num_workers", "num_batches",
        "predicted_compute_seconds",
    ]  # fmt: skip
    assert list(answer["batches"][0]) == [
        "worker_id", "node_id", "num_terms", "attempts", "dispatched_at_seconds", "returned_at_seconds",
        "worker_queued_seconds", "compute_seconds",
    ]  # fmt: skip


async def test_the_answer_repeats_the_job_and_names_it() -> None:
    client = Client()
    body = {"sequence_size": 10, "num_sequences": 3, "execution": "distributed"}
    first, second = [(await client.post("/fibonacci", json=body)).json() for _ in range(2)]
    assert body.items() <= first.items()
    assert first["job_id"] != second["job_id"]


async def test_no_two_jobs_have_the_same_id() -> None:
    ids = list(itertools.islice(job_ids(), 3 * IDS_AT_ONCE))
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


async def test_the_answer_is_json() -> None:
    response = await Client().post("/fibonacci", json={"sequence_size": 10})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("execution", ["local", "distributed"])
@pytest.mark.parametrize("sequence_size", [0, 1, 2, 3, 1000])
async def test_there_is_a_size_for_every_sequence(execution: str, sequence_size: int) -> None:
    body = {"sequence_size": sequence_size, "num_sequences": 5, "execution": execution}
    answer = (await Client().post("/fibonacci", json=body)).json()
    assert answer["sizes"] == [sequence_size] * 5
    assert sum(batch["num_terms"] for batch in answer["batches"]) == 5 * sequence_size


# At 7, 12, 16 and 1000 terms GMP's estimate of the digits is one too many.
@pytest.mark.parametrize("execution", ["local", "distributed"])
@pytest.mark.parametrize("sequence_size", [1, 2, 3, 7, 12, 16, 94, 1000, 12_345, 20_000])
async def test_the_last_term_is_exact(execution: str, sequence_size: int) -> None:
    body = {"sequence_size": sequence_size, "num_sequences": 2, "execution": execution}
    answer = (await Client(TINY_BATCHES).post("/fibonacci", json=body)).json()
    term = fibonacci(sequence_size - 1)
    big_endian = term.to_bytes(max(1, (term.bit_length() + 7) // 8), "big")
    assert answer["last_term"] == {
        "index": sequence_size - 1,
        "num_digits": len(str(term)),
        "bit_length": term.bit_length(),
        "sha256": hashlib.sha256(big_endian).hexdigest(),
    }


async def test_the_first_term_hashes_as_one_zero_byte() -> None:
    answer = (await Client().post("/fibonacci", json={"sequence_size": 1})).json()
    assert answer["last_term"]["sha256"] == hashlib.sha256(b"\0").hexdigest()


async def test_an_empty_sequence_has_no_last_term() -> None:
    answer = (await Client().post("/fibonacci", json={"sequence_size": 0, "num_sequences": 2})).json()
    assert answer["last_term"] is None
    assert answer["sizes"] == [0, 0]


@pytest.mark.parametrize("body", [{}, {"num_sequences": None, "timeout_seconds": None}])
async def test_the_default_is_a_sequence_of_100_000_terms_a_worker(body: dict[str, None]) -> None:
    answer = (await Client(workers=["a", "b", "c"]).post("/fibonacci", json=body)).json()
    assert answer["sizes"] == [100_000] * 3
    assert answer["execution"] == "distributed"


async def test_without_workers_the_default_is_one_sequence_and_the_job_waits_for_a_worker() -> None:
    client = Client(workers=[])
    posted = asyncio.create_task(client.post("/fibonacci", json={"sequence_size": 10}))
    await until(lambda: client.dispatcher.num_unfinished_jobs == 1)
    client.dispatcher.set_workers(["late"])
    assert (await posted).json()["sizes"] == [10]


async def test_a_local_job_is_one_batch_on_one_worker() -> None:
    body = {"sequence_size": 20_000, "num_sequences": 8, "execution": "local"}
    client = Client(TINY_BATCHES)
    answer = (await client.post("/fibonacci", json=body)).json()
    assert answer["timing"]["num_workers"] == answer["timing"]["num_batches"] == len(client.batches) == 1
    assert [batch["num_terms"] for batch in answer["batches"]] == [160_000]


async def test_a_distributed_job_is_cut_over_the_pool() -> None:
    body = {"sequence_size": 50_000, "num_sequences": 1}
    answer = (await Client(TINY_BATCHES).post("/fibonacci", json=body)).json()
    assert {batch["worker_id"] for batch in answer["batches"]} == {"worker-1", "worker-2"}
    assert answer["verification"]["num_segments"] == len(answer["batches"]) > 2


async def test_the_first_1000_batches_are_listed_and_all_are_counted() -> None:
    client = Client(TINY_BATCHES)
    answer = (await client.post("/fibonacci", json={"sequence_size": 2000, "num_sequences": 1500})).json()
    assert answer["timing"]["num_batches"] == len(client.batches) > 1000
    assert len(answer["batches"]) == 1000
    starts = [batch["dispatched_at_seconds"] for batch in answer["batches"]]
    assert starts == sorted(starts)


async def test_durations_agree_with_each_other() -> None:
    body = {"sequence_size": 20_000, "num_sequences": 8}
    answer = (await Client(TINY_BATCHES).post("/fibonacci", json=body)).json()
    timing, batches = answer["timing"], answer["batches"]
    assert 0 <= timing["queued_seconds"] <= timing["total_seconds"]
    assert 0 < timing["compute_seconds"] <= timing["num_workers"] * timing["total_seconds"]
    assert timing["parallelism"] == pytest.approx(timing["compute_seconds"] / timing["total_seconds"])
    assert timing["compute_seconds"] == pytest.approx(sum(batch["compute_seconds"] for batch in batches))
    assert timing["predicted_compute_seconds"] > 0


async def test_every_batch_lies_between_acceptance_and_the_end() -> None:
    body = {"sequence_size": 20_000, "num_sequences": 8}
    answer = (await Client(TINY_BATCHES).post("/fibonacci", json=body)).json()
    timing, batches = answer["timing"], answer["batches"]
    assert timing["queued_seconds"] == min(batch["dispatched_at_seconds"] for batch in batches)
    assert timing["total_seconds"] == max(batch["returned_at_seconds"] for batch in batches)
    for batch in batches:
        assert batch["returned_at_seconds"] - batch["dispatched_at_seconds"] >= batch["compute_seconds"] > 0


async def test_server_timing_says_the_timing_in_milliseconds() -> None:
    response = await Client().post("/fibonacci", json={"sequence_size": 1000})
    timing = response.json()["timing"]
    found = re.fullmatch(
        r"queue;dur=(\d+\.\d+), compute;dur=(\d+\.\d+), total;dur=(\d+\.\d+)", response.headers["server-timing"]
    )
    assert found is not None
    assert [float(part) / 1000 for part in found.groups()] == pytest.approx(
        [timing["queued_seconds"], timing["compute_seconds"], timing["total_seconds"]], abs=1e-6
    )


async def test_jobs_that_share_a_batch_count_only_their_own_terms() -> None:
    client = Client(workers=["only"])
    bodies = [{"sequence_size": size, "num_sequences": 2} for size in range(100, 120)]
    responses = await asyncio.gather(*(client.post("/fibonacci", json=body) for body in bodies))
    assert len(client.batches) < len(bodies), "none of them shared a batch"
    for body, response in zip(bodies, responses, strict=True):
        answer = response.json()
        assert answer["sizes"] == [body["sequence_size"]] * 2
        assert [batch["num_terms"] for batch in answer["batches"]] == [2 * body["sequence_size"]]
        assert answer["last_term"]["index"] == body["sequence_size"] - 1


async def test_a_lost_worker_shows_only_in_the_attempts() -> None:
    async def lose_the_first(worker_id: str, batch: Batch) -> BatchResult:
        if worker_id == "worker-1":
            raise WorkerLostError(worker_id)
        return await compute_batch(worker_id, batch)

    answer = (await Client(run_batch=lose_the_first).post("/fibonacci", json={"sequence_size": 10})).json()
    assert answer["sizes"] == [10, 10]
    assert [(batch["attempts"], batch["worker_id"]) for batch in answer["batches"]] == [(2, "worker-2")]


async def test_a_segment_that_fails_its_check_is_computed_again() -> None:
    async def err_on_the_first(worker_id: str, batch: Batch) -> BatchResult:
        result = await compute_batch(worker_id, batch)
        segments = tuple(replace(segment, verified=worker_id != "worker-1") for segment in result.segments)
        return replace(result, segments=segments)

    body = {"sequence_size": 10, "num_sequences": 1}
    answer = (await Client(run_batch=err_on_the_first).post("/fibonacci", json=body)).json()
    assert answer["verification"] == {"num_segments": 1, "num_recomputed": 1}
    assert answer["sizes"] == [10]


async def test_a_caller_that_leaves_takes_its_own_job_along_and_no_other() -> None:
    client = Client(run_batch=wait_forever)
    leaving = asyncio.create_task(client.post("/fibonacci", json={"sequence_size": 10}))
    staying = asyncio.create_task(client.post("/fibonacci", json={"sequence_size": 10}))
    await until(lambda: client.dispatcher.num_unfinished_jobs == 2)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert client.dispatcher.num_unfinished_jobs == 1
    staying.cancel()


@pytest.mark.parametrize("path", ["/fibonacci", "/fibonacci/compare"])
async def test_the_default_size_is_never_above_the_limit(path: str) -> None:
    response = await Client(Settings(kernels=fibonacci_with(max_sequence_size=1000))).post(
        path, json={"num_sequences": 1}
    )
    answer = response.json()
    assert response.status_code == 422 or max(answer.get("local", answer)["sizes"]) <= 1000

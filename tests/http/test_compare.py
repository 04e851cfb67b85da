"""POST /fibonacci/compare: the same job twice, and the ratio of the two."""

import asyncio
import re
from collections import defaultdict

import pytest

from app.job import Batch, BatchResult, RunBatch
from app.settings import Settings
from tests.http.client import Client, compute_batch, in_virtual_time, until, wait_forever

pytestmark = pytest.mark.anyio

PATH = "/fibonacci/compare"
SMALL_BATCHES = Settings(batch_floor_seconds=1e-6, batch_ceiling_seconds=1e-6, dispatch_cpu_seconds=0)


def slow_workers() -> RunBatch:
    """Workers that take a tenth of a millisecond a term and one batch at a time, for virtual time."""
    computing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run_batch(worker_id: str, batch: Batch) -> BatchResult:
        async with computing[worker_id]:
            result = await compute_batch(worker_id, batch)
            await asyncio.sleep(sum(segment.num_units for segment in result.segments) / 10_000)
        return result

    return run_batch


async def predicted_compute_seconds(body: dict[str, int]) -> float:
    """What the default cost model says that one run costs."""
    answer = (await Client().post("/fibonacci", json=body)).json()
    return float(answer["timing"]["predicted_compute_seconds"])


async def test_the_answer_has_exactly_the_documented_fields() -> None:
    answer = (await Client().post(PATH, json={"sequence_size": 100})).json()
    assert list(answer) == ["local", "distributed", "speedup", "pool_workers", "efficiency"]


async def test_both_runs_are_whole_answers_about_the_same_job() -> None:
    answer = (await Client(SMALL_BATCHES).post(PATH, json={"sequence_size": 5000, "num_sequences": 3})).json()
    local, distributed = answer["local"], answer["distributed"]
    assert [local["execution"], distributed["execution"]] == ["local", "distributed"]
    assert local["sizes"] == distributed["sizes"] == [5000] * 3
    assert local["last_term"] == distributed["last_term"]
    assert local["job_id"] != distributed["job_id"]


async def test_local_runs_in_one_batch_and_distributed_on_the_pool() -> None:
    answer = (await Client(SMALL_BATCHES).post(PATH, json={"sequence_size": 20_000, "num_sequences": 4})).json()
    assert (answer["local"]["timing"]["num_workers"], answer["local"]["timing"]["num_batches"]) == (1, 1)
    assert answer["distributed"]["timing"]["num_workers"] == 2
    assert answer["distributed"]["timing"]["num_batches"] > 1


async def test_num_sequences_is_by_default_the_number_of_workers_in_both_runs() -> None:
    answer = (await Client(workers=["a", "b", "c"]).post(PATH, json={"sequence_size": 10})).json()
    assert answer["local"]["sizes"] == answer["distributed"]["sizes"] == [10] * 3
    assert answer["pool_workers"] == 3


@in_virtual_time
async def test_speedup_is_local_over_distributed_total() -> None:
    client = Client(SMALL_BATCHES, slow_workers())
    answer = (await client.post(PATH, json={"sequence_size": 5000, "num_sequences": 2})).json()
    local, distributed = (answer[how]["timing"]["total_seconds"] for how in ("local", "distributed"))
    assert local == pytest.approx(1.0)
    assert answer["speedup"] == local / distributed
    assert 1.5 < answer["speedup"] < 2.01
    assert answer["efficiency"] == answer["speedup"] / 2


@in_virtual_time
async def test_each_run_counts_from_its_own_start() -> None:
    answer = (await Client(run_batch=slow_workers()).post(PATH, json={"sequence_size": 5000})).json()
    assert answer["distributed"]["timing"]["queued_seconds"] == pytest.approx(0)
    assert answer["distributed"]["batches"][0]["dispatched_at_seconds"] == pytest.approx(0)


@in_virtual_time
async def test_server_timing_is_the_sum_of_both() -> None:
    response = await Client(run_batch=slow_workers()).post(PATH, json={"sequence_size": 5000})
    found = re.fullmatch(r"queue;dur=\S+, compute;dur=\S+, total;dur=(\S+)", response.headers["server-timing"])
    assert found is not None
    answer = response.json()
    both = answer["local"]["timing"]["total_seconds"] + answer["distributed"]["timing"]["total_seconds"]
    assert float(found[1]) == pytest.approx(both * 1000, abs=0.001)


@in_virtual_time
async def test_both_runs_share_one_deadline() -> None:
    # 1 s locally, half of it distributed: each alone would be in time.
    client = Client(SMALL_BATCHES, slow_workers())
    body = {"sequence_size": 5000, "num_sequences": 2}
    late = await client.post(PATH, json=body | {"timeout_seconds": 1.2})
    assert (late.status_code, late.json()["type"]) == (504, "/problems/deadline")
    assert (await client.post(PATH, json=body | {"timeout_seconds": 1.7})).status_code == 200


@pytest.mark.parametrize("execution", ["local", "distributed", None])
async def test_execution_is_refused(execution: str | None) -> None:
    client = Client()
    response = await client.post(PATH, json={"sequence_size": 10, "execution": execution})
    assert response.status_code == 422
    assert [error["location"] for error in response.json()["errors"]] == [["body", "execution"]]
    assert client.batches == []


async def test_the_cost_of_both_is_held_against_the_limit() -> None:
    body = {"sequence_size": 50_000, "num_sequences": 1}
    one = await predicted_compute_seconds(body)
    client = Client(Settings(max_compute_seconds=1.5 * one))
    refused = await client.post(PATH, json=body)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/too-costly")
    assert refused.json()["predicted_compute_seconds"] == pytest.approx(2 * one)
    assert client.batches == []
    assert (await client.post("/fibonacci", json=body)).status_code == 200


async def test_a_refused_comparison_leaves_nothing_in_the_queue() -> None:
    client = Client(Settings(max_queued_jobs=1), wait_forever)
    waiting = asyncio.create_task(client.post("/fibonacci", json={"sequence_size": 10}))
    await until(lambda: bool(client.batches))
    assert (await client.post(PATH, json={"sequence_size": 10})).status_code == 429
    assert client.dispatcher.num_unfinished_jobs == 1
    waiting.cancel()

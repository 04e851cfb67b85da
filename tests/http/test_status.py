"""GET /livez, /readyz and /pool: what they check and whom they add up."""

from typing import Any

import pytest

from app.status import QueueStatus, WorkerStatus
from tests.http.client import Client, pool_of

pytestmark = pytest.mark.anyio

IDLE = WorkerStatus("idle", "node-1", completed_batches=7, compute_seconds=1.5)
BUSY = WorkerStatus("busy", "node-2", busy=True, completed_batches=2, compute_seconds=0.25)
SILENT = WorkerStatus("silent", replied=False)


async def test_livez_is_200_while_the_process_answers() -> None:
    client = Client(workers=[], read_pool=pool_of())
    client.dispatcher.draining = True
    response = await client.get("/livez")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


async def test_readyz_is_200_as_soon_as_one_worker_replied_and_says_what_it_checked() -> None:
    response = await Client(read_pool=pool_of(SILENT, IDLE)).get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checked": "1 of 2 workers replied"}


@pytest.mark.parametrize("workers", [[], [SILENT], [SILENT, SILENT]])
async def test_readyz_is_503_while_no_worker_replied(workers: list[WorkerStatus]) -> None:
    response = await Client(read_pool=pool_of(*workers)).get("/readyz")
    problem: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["type"]) == (503, 503, "about:blank")
    assert str(len(workers)) in problem["detail"]
    assert int(response.headers["retry-after"]) >= 1


async def test_readyz_is_503_while_the_service_drains() -> None:
    client = Client(read_pool=pool_of(IDLE))
    client.dispatcher.draining = True
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["type"]) == (503, "/problems/draining")
    assert int(response.headers["retry-after"]) >= 1


async def test_pool_lists_every_worker_with_its_state() -> None:
    answer = (await Client(read_pool=pool_of(IDLE, BUSY)).get("/pool")).json()
    assert answer["workers"] == [
        {
            "worker_id": "idle",
            "node_id": "node-1",
            "state": "idle",
            "completed_batches": 7,
            "compute_seconds": 1.5,
        },
        {
            "worker_id": "busy",
            "node_id": "node-2",
            "state": "busy",
            "completed_batches": 2,
            "compute_seconds": 0.25,
        },
    ]


async def test_pool_marks_a_worker_that_did_not_reply_in_time() -> None:
    answer = (await Client(read_pool=pool_of(IDLE, SILENT)).get("/pool")).json()
    assert [worker["state"] for worker in answer["workers"]] == ["idle", "silent"]
    assert answer["workers"][1]["node_id"] is None


async def test_pool_adds_up_the_queues_of_all_ingress_replicas() -> None:
    queues = [QueueStatus(1, 2, 0.5), QueueStatus(10, 20, 0.25), QueueStatus(0, 0, 0.0)]
    answer = (await Client(read_pool=pool_of(queues=queues)).get("/pool")).json()
    assert answer["queued_jobs"] == 11
    assert answer["unfinished_jobs"] == 22
    assert answer["predicted_drain_seconds"] == pytest.approx(0.75)
    assert answer["ingress_replicas"] == 3


async def test_pool_of_a_service_without_workers_is_empty() -> None:
    response = await Client(workers=[], read_pool=pool_of()).get("/pool")
    assert response.status_code == 200
    assert response.json()["workers"] == []

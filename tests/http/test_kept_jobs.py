"""The routes of durable jobs over the real keeper and its store: what is answered is what is on disk."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.durable_pool import available, keeping
from tests.http.client import Client

pytestmark = pytest.mark.anyio

ASYNC = {"Prefer": "respond-async"}
SMALL = {"sequence_size": 1000, "num_sequences": 3}
LONG = {"sequence_size": 400_000, "num_sequences": 500}


async def test_a_small_job_is_done_within_its_wait(tmp_path: Path) -> None:
    async with keeping(tmp_path) as keeper:
        await available(keeper)
        client = Client(durable=keeper)
        response = await client.post("/fibonacci", json=SMALL, headers={"Prefer": "respond-async, wait=20"})
        job = response.json()
        assert (response.status_code, job["state"], job["progress"]["fraction"]) == (200, "succeeded", 1)
        answer = (await client.post("/fibonacci", json=SMALL)).json()
        assert job["result"]["last_term"] == answer["last_term"]
        assert job["result"]["sizes"] == [1000] * 3
    async with keeping(tmp_path) as keeper:
        await available(keeper)
        assert (await Client(durable=keeper).get(job["links"]["self"])).json() == job


async def test_a_long_job_goes_on_behind_another_ingress_and_keeper(tmp_path: Path) -> None:
    async with keeping(tmp_path) as keeper:
        await available(keeper)
        client = Client(durable=keeper)
        headers = ASYNC | {"Idempotency-Key": "one"}
        response = await client.post("/fibonacci", json=LONG, headers=headers)
        path = response.headers["location"]
        assert (response.status_code, response.json()["done"]) == (202, False)
        async with asyncio.timeout(20):
            while not (before := (await client.get(path)).json())["progress"]["terms"]:  # noqa: ASYNC110 (as callers poll)
                await asyncio.sleep(0.05)
        assert before["state"] == "running"
    async with keeping(tmp_path) as keeper:
        await available(keeper)
        client = Client(durable=keeper)
        again = (await client.post("/fibonacci", json=LONG, headers=headers)).json()
        assert (again["links"]["self"], again["resumed"]) == (path, 1)
        assert again["progress"]["terms"] >= before["progress"]["terms"]
        reading = asyncio.create_task(client.get(f"{path}/events"))
        waiting = asyncio.create_task(client.get(path, headers={"Prefer": "wait=20"}))
        await asyncio.sleep(0.2)
        cancelled = (await client.post(f"{path}/cancel")).json()
        assert (cancelled["state"], cancelled["done"]) == ("cancelled", True)
        assert (await waiting).json() == cancelled
        events = (await reading).text.strip().split("\n\n")
        assert events[-1].startswith("event: done\n")
        assert json.loads(events[-1].partition("data: ")[2]) == cancelled
        last = events[-1].partition("id: ")[2].partition("\n")[0]
        assert (await client.get(f"{path}/events", headers={"Last-Event-ID": last})).status_code == 204
        assert [job["job_id"] for job in (await client.get("/jobs?state=cancelled")).json()["jobs"]] == [
            cancelled["job_id"]
        ]
        assert (await client.delete(path)).status_code == 204
        assert (await client.get("/jobs")).json() == {"jobs": [], "next_cursor": None}


async def test_pages_follow_each_other(tmp_path: Path) -> None:
    async with keeping(tmp_path) as keeper:
        await available(keeper)
        client = Client(durable=keeper)
        ids = [(await client.post("/fibonacci", json=SMALL, headers=ASYNC)).json()["job_id"] for _ in range(5)]
        first = (await client.get("/jobs?limit=3")).json()
        second = (await client.get(f"/jobs?limit=3&cursor={first['next_cursor']}")).json()
        assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
        assert second["next_cursor"] is None


async def test_a_job_that_the_keeper_refuses_is_too_costly_by_its_own_limit(tmp_path: Path) -> None:
    async with keeping(tmp_path) as keeper:
        await available(keeper)
        body = {"sequence_size": 10_000_000, "num_sequences": 10_000}
        problem = (await Client(durable=keeper).post("/fibonacci", json=body, headers=ASYNC)).json()
        assert (problem["type"], problem["max_compute_seconds"]) == ("/problems/too-costly", 86_400)

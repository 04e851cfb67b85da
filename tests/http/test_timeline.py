"""GET /timeline, its stream and its jobs: what the page reads, and what each caller is told. In virtual time."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.types import Message

from app.http.timeline_api import MAX_CALLER_STREAMS, MAX_READS, MAX_STREAMS
from app.job import Batch, BatchResult
from app.settings import Settings
from tests.http.client import Client, compute_batch, in_virtual_time, wait_forever
from tests.http.test_durable_jobs import ALICE, BOB, KEYS, bearer

pytestmark = [pytest.mark.anyio, in_virtual_time]
JOB = {"sequence_size": 1000, "num_sequences": 3}


class Stream:
    """An open stream: what has come, and when."""

    def __init__(
        self, client: Client, query: str = "", headers: dict[str, str] | None = None, *, reads: bool = True
    ) -> None:
        self.status = 0
        self.pieces: list[tuple[float, bytes]] = []
        self.left = asyncio.Event()
        self._reads = reads
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/timeline/stream",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self.task = asyncio.ensure_future(transport.app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.pieces.append((asyncio.get_running_loop().time(), message.get("body", b"")))
        if not self._reads:
            await asyncio.Event().wait()

    @property
    def frames(self) -> list[tuple[float, dict[str, Any]]]:
        """Those that have come."""
        events = [
            (at, dict(line.split(": ", 1) for line in body.decode().splitlines() if line)) for at, body in self.pieces
        ]
        return [(at, json.loads(event["data"])) for at, event in events if event.get("event") == "frame"]


async def test_a_job_is_told_with_its_batches_and_its_story() -> None:
    client = Client()
    answer = (await client.post("/fibonacci", json=JOB)).json()
    frame = (await client.get("/timeline")).json()
    (job,) = frame["jobs"]
    shown = {
        name: job[name] for name in ("id", "kernel", "unit", "num_lines", "length", "execution", "state", "durable")
    }
    assert shown == {
        "id": answer["job_id"], "kernel": "fibonacci", "unit": "terms", "num_lines": 3, "length": 1000,
        "execution": "distributed", "state": "succeeded", "durable": False,
    }  # fmt: skip
    assert job["ended_at"] - job["accepted_at"] == pytest.approx(1000 * answer["timing"]["total_seconds"], abs=0.2)
    assert sum(batch[6] for batch in frame["batches"]) == 3000
    assert {batch[1] for batch in frame["batches"]} == {answer["job_id"]}
    assert frame["totals"]["units"] == {"fibonacci": 3000}
    story = (await client.get(f"/timeline/jobs/{answer['job_id']}")).json()
    assert story["request"] == JOB
    assert [batch["num_units"] for batch in story["batches"]] == [batch["num_terms"] for batch in answer["batches"]]


async def test_what_was_told_is_not_told_again() -> None:
    client = Client()
    await client.post("/fibonacci", json=JOB)
    first = (await client.get("/timeline")).json()
    await client.post("/fibonacci", json=JOB)
    second = (await client.get("/timeline", params={"after": first["cursor"]})).json()
    assert len(second["jobs"]) == 1
    assert second["jobs"][0]["id"] != first["jobs"][0]["id"]
    assert not {tuple(batch) for batch in first["batches"]} & {tuple(batch) for batch in second["batches"]}


@pytest.mark.parametrize("cursor", ["nonsense", "0" * 12 + ":1:1", "a" * 5000, "%00", "-1:-1:-1"])
async def test_a_cursor_of_elsewhere_tells_what_a_first_look_does(cursor: str) -> None:
    client = Client()
    await client.post("/fibonacci", json=JOB)
    assert len((await client.get("/timeline", params={"after": cursor})).json()["jobs"]) == 1


async def test_a_refusal_and_a_caller_that_left_are_told_too() -> None:
    client = Client(run_batch=wait_forever)
    await client.post("/fibonacci", json={"sequence_size": 10_000_000, "num_sequences": 10_000})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await client.post("/fibonacci", json=JOB)
    jobs = (await client.get("/timeline")).json()["jobs"]
    assert [(job["state"], job["problem"]) for job in jobs] == [("refused", "too-costly"), ("cancelled", "cancelled")]


async def test_a_running_batch_is_told_until_it_is_over() -> None:
    client = Client(run_batch=wait_forever)
    stream = Stream(client)
    posted = asyncio.ensure_future(client.post("/fibonacci", json=JOB | {"timeout_seconds": 3}))
    await posted
    await asyncio.sleep(1)
    stream.task.cancel()
    running = [frame["running"] for _, frame in stream.frames]
    assert [worker for worker, *_ in running[1]] == ["worker-1"] or len(running[1]) > 0
    assert running[-1] == []
    assert [job["problem"] for _, frame in stream.frames for job in frame["jobs"]][-1] == "deadline"


async def test_a_stream_ends_by_itself_and_the_next_one_goes_on_where_it_stopped() -> None:
    client = Client()
    stream = Stream(client)
    await stream.task
    ended_at, last = stream.pieces[-2]
    assert last == b"event: again\ndata: {}\n\n"
    assert 29 <= ended_at <= 31
    cursor = stream.frames[-1][1]["cursor"]
    answer = (await client.post("/fibonacci", json=JOB)).json()
    following = Stream(client, f"after={cursor}")
    await asyncio.sleep(1)
    following.task.cancel()
    assert [job["id"] for _, frame in following.frames for job in frame["jobs"]] == [answer["job_id"]]


async def test_a_stream_ends_at_once_when_its_ingress_is_being_replaced() -> None:
    client = Client()
    stream = Stream(client)
    await asyncio.sleep(5)
    client.sight.watching.closing = True
    await asyncio.wait_for(stream.task, 1)
    assert stream.pieces[-2][1] == b"event: again\ndata: {}\n\n"


async def test_while_nothing_happens_a_frame_comes_every_two_seconds_and_otherwise_two_a_second() -> None:
    quiet = Stream(Client())
    busy_client = Client(run_batch=wait_forever)
    busy = Stream(busy_client)
    posted = asyncio.ensure_future(busy_client.post("/fibonacci", json=JOB))
    await asyncio.sleep(20)
    posted.cancel()
    gaps = [later[0] - earlier[0] for earlier, later in zip(quiet.frames, quiet.frames[1:], strict=False)]
    assert max(gaps) <= 2.6
    assert len(quiet.frames) <= 12
    assert 35 <= len(busy.frames) <= 42
    quiet.task.cancel()
    busy.task.cancel()


async def test_nobody_is_asked_while_nobody_watches() -> None:
    client = Client()
    await client.get("/timeline")
    await asyncio.sleep(2)
    before = client.sight.watching.num_ticks
    await asyncio.sleep(10)
    assert client.sight.watching.num_ticks == before
    assert client.sight.watching._task is None


async def test_who_comes_after_nobody_has_watched_for_long_is_told_what_is_new() -> None:
    client = Client()
    await client.get("/timeline")
    for number in range(1, 4):
        await asyncio.sleep(5)
        await client.post("/fibonacci", json=JOB)
        assert len((await client.get("/timeline")).json()["jobs"]) == number


async def test_one_who_does_not_read_is_let_go_after_its_time() -> None:
    stream = Stream(Client(), reads=False)
    await stream.task
    assert asyncio.get_running_loop().time() <= 36
    assert len(stream.pieces) == 1


async def test_there_are_so_many_places_and_each_is_given_back() -> None:
    client = Client()
    streams = [Stream(client) for _ in range(MAX_STREAMS)]
    await asyncio.sleep(1)
    refused = await client.get("/timeline/stream")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.headers["content-type"] == "application/problem+json"
    for stream in streams:
        assert stream.status == 200
        stream.left.set()
    await asyncio.sleep(1)
    last = Stream(client)
    await asyncio.sleep(1)
    assert last.status == 200
    last.task.cancel()


async def test_only_so_many_single_frames_are_made_at_a_time() -> None:
    client = Client()
    await client.post("/fibonacci", json=JOB)
    answers = await asyncio.gather(*(client.get("/timeline", params={"after": str(i)}) for i in range(MAX_READS + 5)))
    assert sorted(answer.status_code for answer in answers) == [200] * MAX_READS + [429] * 5
    assert (await client.get("/timeline")).status_code == 200


async def test_one_caller_does_not_take_all_places() -> None:
    client = Client(keys=KEYS)
    streams = [Stream(client, headers=bearer(ALICE)) for _ in range(MAX_CALLER_STREAMS)]
    await asyncio.sleep(1)
    assert (await client.get("/timeline/stream", headers=bearer(ALICE))).status_code == 429
    bobs = Stream(client, headers=bearer(BOB))
    await asyncio.sleep(1)
    assert bobs.status == 200
    for stream in (*streams, bobs):
        stream.task.cancel()


def told_of_others(frame: dict[str, Any], *secrets: str) -> bool:
    return any(secret in json.dumps(frame) for secret in secrets)


async def test_with_keys_others_batches_are_told_without_whose_they_are() -> None:
    client = Client(keys=KEYS)
    answer = (await client.post("/fibonacci", json=JOB, headers=bearer(ALICE))).json()
    mine = (await client.get("/timeline", headers=bearer(ALICE))).json()
    theirs = (await client.get("/timeline", headers=bearer(BOB))).json()
    assert [job["id"] for job in mine["jobs"]] == [answer["job_id"]]
    assert theirs["jobs"] == []
    assert len(theirs["batches"]) == len(mine["batches"]) > 0
    assert all(batch[1:3] == [None, None] and batch[6] == 0 for batch in theirs["batches"])
    assert not told_of_others(theirs, answer["job_id"], "alice")
    path = f"/timeline/jobs/{answer['job_id']}"
    assert (await client.get(path, headers=bearer(ALICE))).status_code == 200
    assert (await client.get(path, headers=bearer(BOB))).status_code == 404


async def test_with_keys_others_running_batches_are_told_in_the_same_way() -> None:
    client = Client(keys=KEYS, run_batch=wait_forever)
    posted = asyncio.ensure_future(client.post("/fibonacci", json=JOB, headers=bearer(ALICE)))
    await asyncio.sleep(0.1)
    theirs = (await client.get("/timeline", headers=bearer(BOB))).json()
    assert theirs["running"]
    assert all(batch[1:3] == [None, None] and batch[5] == 0 for batch in theirs["running"])
    assert theirs["jobs"] == []
    posted.cancel()


async def test_above_so_many_batches_a_frame_tells_how_busy_each_worker_was() -> None:
    async def slowly(worker_id: str, batch: Batch) -> BatchResult:
        await asyncio.sleep(0.001)
        return await compute_batch(worker_id, batch)

    client = Client(Settings(max_queued_jobs=5000, max_queued_seconds=1e6), run_batch=slowly)
    cursor = (await client.get("/timeline")).json()["cursor"]
    for _ in range(2100):
        await client.post("/fibonacci", json={"sequence_size": 10, "num_sequences": 1})
    frame = (await client.get("/timeline", params={"after": cursor})).json()
    assert frame["batches"] == []
    assert sum(row[4] for row in frame["density"]) == 2100
    assert all(0 <= row[3] <= 1 for row in frame["density"])

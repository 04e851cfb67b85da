"""GET /jobs/{id}/events: which events come when, and when the stream ends. In virtual time."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message

from app.durable.records import State
from app.errors import ComputationError
from app.http.events import COMMENT, MAX_CALLER_STREAMS, MAX_STREAMS
from app.http.following import Follower
from app.keys import ApiKeys
from app.settings import KernelChoice, Settings
from tests.http.client import Client, in_virtual_time
from tests.http.durable_jobs import MemoryJobs
from tests.http.test_durable_jobs import ALICE, ASYNC, BOB, KEYS, NOBODYS, bearer

pytestmark = [pytest.mark.anyio, in_virtual_time]

Event = tuple[float, str, str, dict[str, Any]]
"""When it came, its name, its id and its data."""


class Service:
    """A service, its jobs, and what its streams say and when."""

    def __init__(self, settings: Settings | None = None, keys: ApiKeys | None = None) -> None:
        self.durable = MemoryJobs(settings or Settings())
        self.client = Client(settings, durable=self.durable, keys=keys)
        transport = self.client._transport
        assert isinstance(transport, httpx.ASGITransport)
        self._app = transport.app

    async def post(self, **headers: str) -> str:
        """A new job's id."""
        body = {"sequence_size": 1000, "num_sequences": 1}
        answer = await self.client.post("/fibonacci", json=body, headers=ASYNC | headers)
        return str(answer.json()["job_id"])

    def later(self, seconds: float, change: Callable[..., object], *args: Any) -> None:
        """Change something after so long."""
        asyncio.get_running_loop().call_later(seconds, change, *args)

    def open(self, job_id: str, headers: dict[str, str] | None = None, *, reads: bool = True) -> "Stream":
        """Open a stream; one that does not read takes only the first piece."""
        stream = Stream(reads=reads)
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/jobs/{job_id}/events",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        stream.task = asyncio.ensure_future(self._app(scope, stream.receive, stream.send))
        return stream


class Stream:
    """One stream: everything that is sent, with the time."""

    def __init__(self, *, reads: bool) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[tuple[float, bytes]] = []
        self.ended = False
        self.task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.broken = False
        self._left = asyncio.Event()
        self._asked = False
        self._reads = reads

    async def receive(self) -> Message:
        """An empty body, and then nothing until the caller leaves."""
        if self._asked:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Keep what comes."""
        if self.broken:
            raise OSError
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.chunks.append((asyncio.get_running_loop().time(), message.get("body", b"")))
        self.ended = not message.get("more_body", False)
        if not self._reads:
            await asyncio.Event().wait()

    def leave(self) -> None:
        """As a caller that closes its connection."""
        self._left.set()

    @property
    def text(self) -> str:
        return b"".join(chunk for _, chunk in self.chunks).decode()

    @property
    def comments(self) -> list[float]:
        """When they came."""
        return [round(at) for at, chunk in self.chunks if chunk == COMMENT]

    @property
    def events(self) -> list[Event]:
        found = []
        for at, chunk in self.chunks:
            lines = chunk.decode().removeprefix("retry: 2000\n").splitlines()
            members = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
            if members:
                found.append((at, members["event"], members["id"], json.loads(members["data"])))
        return found

    @property
    def names(self) -> list[str]:
        return [name for _, name, _, _ in self.events]


async def test_the_first_event_is_the_whole_job_at_once() -> None:
    service = Service()
    job_id = await service.post()
    stream = service.open(job_id)
    await asyncio.sleep(0.01)
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-length" not in stream.headers
    assert stream.text.startswith("retry: 2000\nevent: job\nid: 1-1\ndata: {")
    assert stream.text.endswith("}\n\n")
    ((_, _, _, data),) = stream.events
    assert data == (await service.client.get(f"/jobs/{job_id}")).json()
    stream.leave()
    await stream.task


async def test_every_change_of_state_is_an_event_and_the_last_one_is_done() -> None:
    service = Service()
    job_id = await service.post()
    stream = service.open(job_id)
    service.later(3, service.durable.start, job_id)
    service.later(7, service.durable.restart)
    service.later(9, service.durable.succeed, job_id)
    await stream.task
    told = [(round(at), name, data["state"], data["resumed"]) for at, name, _, data in stream.events]
    assert told == [
        (0, "job", "queued", 0), (3, "job", "running", 0), (7, "job", "running", 1), (9, "done", "succeeded", 1)
    ]  # fmt: skip
    assert stream.events[-1][3]["result"]["sizes"] == [1000]
    assert stream.ended
    ids = [each for _, _, each, _ in stream.events]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_however_a_job_ends_it_is_done(state: State) -> None:
    service = Service()
    job_id = await service.post()
    stream = service.open(job_id)
    if state is State.FAILED:
        service.later(2, service.durable.fail, job_id, ComputationError())
    else:
        service.later(2, service.durable.move, job_id, state)
    await stream.task
    assert [(name, data["state"]) for _, name, _, data in stream.events] == [("job", "queued"), ("done", state)]


async def test_progress_comes_at_most_once_a_second_and_is_the_latest() -> None:
    service = Service()
    job_id = await service.post()
    service.durable.start(job_id)
    stream = service.open(job_id)
    for tenth in range(1, 50):
        service.later(tenth / 10, service.durable.progress, job_id, tenth)
    service.later(6.5, service.durable.succeed, job_id)
    await stream.task
    assert stream.names == ["job", *["progress"] * 5, "done"]
    times = [at for at, _, _, _ in stream.events]
    assert all(later - earlier > 0.99 for earlier, later in itertools.pairwise(times[:-1]))
    done = [data["progress"]["terms"] for _, _, _, data in stream.events]
    assert done[0] == 0
    assert done[-2] == 49
    assert done == sorted(done)


async def test_a_state_does_not_wait_for_the_next_second() -> None:
    service = Service()
    job_id = await service.post()
    service.durable.start(job_id)
    stream = service.open(job_id)
    service.later(2, service.durable.progress, job_id, 10)
    service.later(2.3, service.durable.succeed, job_id)
    await stream.task
    assert stream.names == ["job", "progress", "done"]
    assert stream.events[-1][0] == pytest.approx(2.3, abs=0.05)


async def test_silence_is_broken_every_5_seconds_and_the_end_is_after_30() -> None:
    service = Service()
    stream = service.open(await service.post())
    await stream.task
    assert stream.names == ["job"]
    assert stream.comments == [5, 10, 15, 20, 25]
    assert stream.ended
    assert asyncio.get_running_loop().time() == pytest.approx(30, abs=0.1)


async def test_a_comment_comes_only_after_silence() -> None:
    service = Service()
    job_id = await service.post()
    stream = service.open(job_id)
    service.later(4, service.durable.start, job_id)
    service.later(11, service.durable.succeed, job_id)
    await stream.task
    assert stream.comments == [9]


@pytest.mark.parametrize("name", ["draining", "leaving"])
async def test_it_ends_when_the_service_closes(name: str) -> None:
    service = Service()
    stream = service.open(await service.post())
    service.later(3, setattr, service.client.dispatcher, name, True)
    await stream.task
    assert stream.ended
    assert asyncio.get_running_loop().time() < 3.5


async def test_while_the_service_closes_a_stream_is_one_event() -> None:
    service = Service()
    job_id = await service.post()
    service.client.dispatcher.draining = True
    stream = service.open(job_id)
    await stream.task
    assert (stream.status, stream.names, stream.ended) == (200, ["job"], True)
    assert asyncio.get_running_loop().time() < 0.5


async def test_a_job_that_is_over_is_told_once() -> None:
    service = Service()
    job_id = await service.post()
    service.durable.succeed(job_id)
    stream = service.open(job_id)
    await stream.task
    assert (stream.names, stream.ended) == (["done"], True)
    assert service.durable.asked == []
    last = stream.events[0][2]
    again = service.open(job_id, {"Last-Event-ID": last})
    await again.task
    assert (again.status, again.text) == (204, "")
    other = service.open(job_id, {"Last-Event-ID": "1-1"})
    await other.task
    assert other.names == ["done"]


async def test_whoever_comes_back_gets_the_job_as_it_is_now() -> None:
    service = Service()
    job_id = await service.post()
    service.durable.progress(job_id, 7)
    stream = service.open(job_id, {"Last-Event-ID": "1-1"})
    await asyncio.sleep(0.1)
    assert stream.names == ["job"]
    last = stream.events[0][2]
    stream.leave()
    await stream.task
    unchanged = service.open(job_id, {"Last-Event-ID": last})
    await asyncio.sleep(0.1)
    assert unchanged.names == ["job"]
    unchanged.leave()
    await unchanged.task


async def test_it_ends_when_the_job_is_deleted() -> None:
    service = Service()
    job_id = await service.post()
    stream = service.open(job_id)
    await asyncio.sleep(2)
    await service.client.delete(f"/jobs/{job_id}")
    await stream.task
    assert stream.names == ["job"]
    assert asyncio.get_running_loop().time() < 3


async def test_it_stays_open_while_the_keeper_is_replaced() -> None:
    service = Service()
    job_id = await service.post()
    service.durable.start(job_id)
    stream = service.open(job_id)
    service.later(2, setattr, service.durable, "unavailable", "away")
    service.later(12, setattr, service.durable, "unavailable", None)
    service.later(12, service.durable.restart)
    service.later(15, service.durable.succeed, job_id)
    await stream.task
    told = [(round(at), name, each.partition("-")[0]) for at, name, each, _ in stream.events]
    assert told == [(0, "job", "1"), (12, "job", "2"), (15, "done", "done")]
    assert stream.comments == [5, 10]


async def test_what_is_older_than_what_is_known_is_not_told() -> None:
    service = Service()
    job_id = await service.post()
    old = await service.durable.get(job_id, "")
    service.durable.progress(job_id, 5)
    known = await service.durable.get(job_id, "")
    follower = Follower(known)
    follower.tell(old)
    assert follower.view is known
    service.durable.restart()
    follower.tell(await service.durable.get(job_id, ""))
    assert follower.view.epoch == 2
    follower.tell(known)
    assert follower.view.epoch == 2


async def test_an_unknown_job_is_404_before_anything_is_sent() -> None:
    stream = Service().open(NOBODYS)
    await stream.task
    assert stream.status == 404
    assert json.loads(stream.text)["type"] == "/problems/no-such-job"


async def test_anothers_job_is_404() -> None:
    service = Service(keys=KEYS)
    job_id = await service.post(**bearer(ALICE))
    mine, other = service.open(job_id, bearer(ALICE)), service.open(job_id, bearer(BOB))
    await other.task
    assert other.status == 404
    await asyncio.sleep(0.1)
    assert mine.status == 200
    mine.leave()
    await mine.task


async def test_a_caller_has_so_many_streams_and_a_place_is_free_when_one_leaves() -> None:
    service = Service(keys=KEYS)
    mine, others = await service.post(**bearer(ALICE)), await service.post(**bearer(BOB))
    streams = [service.open(mine, bearer(ALICE)) for _ in range(MAX_CALLER_STREAMS)]
    await asyncio.sleep(0.1)
    refused = service.open(mine, bearer(ALICE))
    await refused.task
    assert (refused.status, refused.headers["retry-after"]) == (429, "5")
    assert "alice has 20 streams open already" in json.loads(refused.text)["detail"]
    streams += [service.open(others, bearer(BOB))]
    streams[0].leave()
    await asyncio.sleep(0.1)
    assert streams[0].task.done()
    streams += [service.open(mine, bearer(ALICE))]
    await asyncio.sleep(0.1)
    assert [stream.status for stream in streams] == [200] * len(streams)
    for stream in streams:
        stream.leave()
    await asyncio.gather(*(stream.task for stream in streams))


async def test_an_ingress_has_so_many_streams() -> None:
    service = Service()
    job_id = await service.post()
    streams = [service.open(job_id) for _ in range(MAX_STREAMS)]
    await asyncio.sleep(0.1)
    refused = service.open(job_id)
    await refused.task
    assert (refused.status, refused.headers["retry-after"]) == (429, "5")
    service.durable.succeed(job_id)
    await asyncio.gather(*(stream.task for stream in streams))
    assert {tuple(stream.names) for stream in streams} == {("job", "done")}
    assert len(service.durable.asked) < 10


async def test_a_refused_stream_takes_no_place() -> None:
    service = Service(keys=KEYS)
    for _ in range(MAX_CALLER_STREAMS + 1):
        stream = service.open(NOBODYS, bearer(ALICE))
        await stream.task
        assert stream.status == 404


async def test_who_does_not_read_is_cut_off() -> None:
    service = Service()
    stream = service.open(await service.post(), reads=False)
    await stream.task
    assert not stream.ended
    assert asyncio.get_running_loop().time() == pytest.approx(35, abs=0.1)


async def test_a_request_that_is_cancelled_frees_its_place() -> None:
    service = Service(keys=KEYS)
    job_id = await service.post(**bearer(ALICE))
    for _ in range(2):
        streams = [service.open(job_id, bearer(ALICE)) for _ in range(MAX_CALLER_STREAMS)]
        await asyncio.sleep(0.1)
        assert {stream.status for stream in streams} == {200}
        for stream in streams:
            stream.task.cancel()
        await asyncio.wait([stream.task for stream in streams])


async def test_a_connection_that_breaks_is_no_error_of_ours() -> None:
    service = Service()
    stream = service.open(await service.post())
    await asyncio.sleep(0.1)
    stream.broken = True
    await stream.task
    assert asyncio.get_running_loop().time() < 5.1, "the first comment"


async def test_a_result_that_cannot_be_read_ends_the_stream() -> None:
    before = Service()
    job_id = await before.post()
    after = Service(Settings(kernels=(KernelChoice(import_path="examples.primes:KERNEL"),)))
    after.durable.records = before.durable.records
    stream = after.open(job_id)
    await asyncio.sleep(0.1)
    after.durable._changed = before.durable._changed
    before.durable.succeed(job_id)
    after.durable._number = before.durable._number
    await stream.task
    assert (stream.names, stream.ended) == (["job"], True)


async def test_a_stream_behind_a_prefix_has_its_links() -> None:
    service = Service()
    job_id = await service.post()
    service.durable.succeed(job_id)
    client = Client(durable=service.durable, root_path="/fib")
    text = (await client.get(f"/fib/jobs/{job_id}/events")).text
    assert f'"self":"/fib/jobs/{job_id}"' in text

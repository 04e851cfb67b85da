"""The whole service in one process: the API over a real dispatcher, whose workers really compute."""

import asyncio
from collections.abc import Callable, Sequence

import httpx
import pytest

from app.compute.slices import compute
from app.dispatch.dispatcher import Dispatcher
from app.durable.service import DurableJobs
from app.http.api import create_app
from app.job import Batch, BatchResult, RunBatch
from app.keys import ApiKeys
from app.observe.sight import OwnSight
from app.observe.timeline import Timeline
from app.settings import Settings
from app.status import PoolStatus, QueueStatus, ReadPool, WorkerStatus
from harness.virtual_time import VirtualTimeLoop

in_virtual_time = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})], ids=["virtual-time"]
)


async def compute_batch(worker_id: str, batch: Batch) -> BatchResult:
    """A worker; the others get their turn after each slice."""
    slices = compute(batch.segments)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            cpu_seconds = sum(result.compute_seconds for result in end.value)
            return BatchResult(worker_id, "node", end.value, queued_seconds=0.0, cpu_seconds=cpu_seconds)
        await asyncio.sleep(0)


async def wait_forever(worker_id: str, batch: Batch) -> BatchResult:
    """A worker that does not come to an end."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


def pool_of(*workers: WorkerStatus, queues: Sequence[QueueStatus] = (QueueStatus(0, 0, 0.0),)) -> ReadPool:
    """A pool that always looks like this."""

    async def read_pool() -> PoolStatus:
        return PoolStatus(workers, tuple(queues))

    return read_pool


async def until(condition: Callable[[], bool]) -> None:
    """Let the others go on until it holds; TimeoutError after 5 seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (a state that nobody announces)
            await asyncio.sleep(0)


class Client(httpx.AsyncClient):
    """A client of a service of its own. Make it in a running event loop, whose clock is the dispatcher's."""

    def __init__(
        self,
        settings: Settings | None = None,
        run_batch: RunBatch = compute_batch,
        workers: Sequence[str] = ("worker-1", "worker-2"),
        read_pool: ReadPool | None = None,
        keys: ApiKeys | None = None,
        *,
        durable: DurableJobs | None = None,
        root_path: str = "",
    ) -> None:
        self.batches: list[Batch] = []
        """What workers were called with."""

        async def noted(worker_id: str, batch: Batch) -> BatchResult:
            self.batches.append(batch)
            return await run_batch(worker_id, batch)

        settings = settings or Settings()
        clock = asyncio.get_running_loop().time
        timeline = Timeline(clock=clock)
        self.dispatcher = Dispatcher(noted, settings, clock=clock, observer=timeline)
        self.dispatcher.set_workers(workers)
        read_pool = read_pool or pool_of(WorkerStatus("worker-1", "node"))
        self.sight = OwnSight(timeline, self.dispatcher, read_pool, clock, clock)
        app = create_app(self.dispatcher, settings, read_pool, keys, durable=durable, sight=self.sight)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
        super().__init__(transport=transport, base_url="http://service")

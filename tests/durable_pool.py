"""Durable jobs in one process: the real keeper and store over real compute threads, without Ray."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.compute.thread import ComputeThread
from app.durable.keeper import Keeper
from app.durable.records import JobView, NewJob, State
from app.durable.sql_store import sqlite_store
from app.errors import JobsUnavailableError, WorkerLostError
from app.job import Batch, BatchResult
from app.settings import Settings

SETTINGS = Settings(checkpoint_seconds=0.05)


class Pool:
    """Workers of this process."""

    def __init__(self, num_workers: int = 2) -> None:
        self.threads = {f"w{number}": ComputeThread() for number in range(num_workers)}
        self.num_batches = 0
        self.before: Callable[[Batch], object] = lambda _: None
        """Called with each batch; what it raises, the batch ends in."""

    async def run(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch``."""
        if worker_id not in self.threads:
            raise WorkerLostError(worker_id)
        self.num_batches += bool(batch.segments)
        self.before(batch)
        computed = await self.threads[worker_id].run(batch.segments, short=batch.short, background=batch.background)
        return BatchResult(worker_id, "node", computed.segments, 0.0, computed.cpu_seconds)


@asynccontextmanager
async def keeping(
    folder: Path, settings: Settings = SETTINGS, pool: Pool | None = None, **options: Any
) -> AsyncIterator[Keeper]:
    """A keeper whose store is in the folder, with two workers unless ``pool`` has others; open, and closed again."""
    pool = pool or Pool()
    store = options.pop("store", None) or sqlite_store(folder, allow_network_folder=True)
    keeper = Keeper(store, settings, pool.run, **{"instance": "test", **options})
    keeper.set_workers(pool.threads)
    await keeper.start()
    try:
        yield keeper
    finally:
        if keeper._writer._closing is None:
            await keeper.close()


async def die(keeper: Keeper) -> None:
    """It is killed: nothing more is written."""
    assert keeper._task is not None
    keeper._task.cancel()
    await asyncio.wait([keeper._task])
    keeper._custody.stop()
    await keeper._writer.close()


async def available(keeper: Keeper, seconds: float = 10.0) -> None:
    """Return once it has the store."""
    async with asyncio.timeout(seconds):
        while True:
            if (await keeper.counts()).available:
                return
            await asyncio.sleep(0.01)


async def done(keeper: Keeper, job_id: str, caller: str = "", seconds: float = 30.0) -> JobView:
    """The job, once it is over."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                view = await keeper.get(job_id, caller)
            except JobsUnavailableError:
                pass
            else:
                if view.record.state.done:
                    return view
            await asyncio.sleep(0.01)


async def until(
    keeper: Keeper, job_id: str, holds: Callable[[JobView], bool], caller: str = "", seconds: float = 30.0
) -> JobView:
    """The job, once that holds of it."""
    async with asyncio.timeout(seconds):
        while not holds(view := await keeper.get(job_id, caller)):
            assert not view.record.state.done, view
            await asyncio.sleep(0.01)
    return view


def is_running(view: JobView) -> bool:
    """Whether a batch of it has been sent, and that is committed."""
    return view.record.state is State.RUNNING


def new_job(job_id: str, sequence_size: int = 1_000, num_sequences: int | None = 2, **fields: Any) -> NewJob:
    """A job of the Fibonacci kernel."""
    count = "null" if num_sequences is None else num_sequences
    request = f'{{"sequence_size":{sequence_size},"num_sequences":{count},"timeout_seconds":null}}'
    return NewJob(
        **{
            "job_id": job_id, "caller": "", "kernel": "fibonacci", "request": request, "num_workers": 2,
            "timeout_seconds": None, "fingerprint": request, **fields,
        }
    )  # fmt: skip

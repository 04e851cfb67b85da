"""FastAPI and uvicorn over a ``ProcessPoolExecutor``: what most people write.

Run as ``python -m benchmarks.peers.fastapi_process_pool PORT``; SIGINT ends it.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once


class Job(BaseModel):
    sequence_size: int = 100_000
    num_sequences: int = CPUS


class Answer(BaseModel):
    sizes: list[int]
    total_seconds: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with ProcessPoolExecutor(CPUS) as app.state.pool:
        sys.stdout.write(f"ready on http://127.0.0.1:{sys.argv[1]}\n")
        sys.stdout.flush()
        yield


api = FastAPI(lifespan=lifespan)


@api.post("/fibonacci")
async def run(job: Job) -> Answer:
    started_at = time.perf_counter()
    loop = asyncio.get_running_loop()
    futures = [
        loop.run_in_executor(api.state.pool, compute_at_once, 0, job.sequence_size) for _ in range(job.num_sequences)
    ]
    return Answer(sizes=await asyncio.gather(*futures), total_seconds=time.perf_counter() - started_at)


if __name__ == "__main__":
    uvicorn.run(api, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)

"""FastAPI over Celery with Redis as broker and result backend: a task a sequence, a worker process a CPU.

Run as ``python -m benchmarks.peers.fastapi_celery PORT``; prints ``ready on URL``; SIGINT ends it and what it started.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.cpus import CPUS
from benchmarks.needs import REDIS
from deployments.launcher.ports import free_port

api = FastAPI()


class Job(BaseModel):
    sequence_size: int = 100_000
    num_sequences: int = CPUS


@api.post("/fibonacci")
def run(job: Job) -> dict[str, list[int]]:
    # A plain function: FastAPI runs it in a thread, because waiting for Celery blocks.

    from benchmarks.peers.celery_tasks import compute  # noqa: PLC0415 (Celery comes with PEERS=all)

    # Not group(...).get(): that looks for its results every half second.
    results = [compute.delay(job.sequence_size) for _ in range(job.num_sequences)]
    return {"sizes": [result.get(timeout=300) for result in results]}


@contextmanager
def program(*command: str) -> Iterator[None]:
    """Runs during the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 (the two below)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main(port: int) -> None:
    redis_port = free_port()
    os.environ["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
    with ExitStack() as stack:
        redis = (REDIS.program, "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "")  # nothing on disk
        stack.enter_context(program(*redis))
        worker = ("-m", "celery", "--app", "benchmarks.peers.celery_tasks", "worker", "--concurrency", str(CPUS))
        stack.enter_context(program(sys.executable, *worker, "--loglevel", "ERROR"))
        sys.stdout.write(f"ready on http://127.0.0.1:{port}\n")
        sys.stdout.flush()
        uvicorn.run(api, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The tutorial's way on Ray Serve: a class-based FastAPI ingress, ``handle.remote()`` a sequence, the default proxy.

Run as ``python -m benchmarks.peers.serve_tutorial PORT``; prints ``ready on URL``; SIGINT ends it.
"""

import asyncio
import sys
import time

import ray
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once

api = FastAPI()


class Job(BaseModel):
    sequence_size: int = 100_000
    num_sequences: int = CPUS


@serve.deployment(num_replicas=CPUS, max_ongoing_requests=1, ray_actor_options={"num_cpus": 1})
class Worker:
    def run(self, sequence_size: int) -> int:
        return compute_at_once(0, sequence_size)


@serve.deployment(ray_actor_options={"num_cpus": 0})
@serve.ingress(api)
class Ingress:
    def __init__(self, worker: DeploymentHandle) -> None:  # type: ignore[type-arg]
        self._worker = worker

    @api.post("/fibonacci")
    async def run(self, job: Job) -> dict[str, object]:
        started_at = time.perf_counter()
        responses = [self._worker.run.remote(job.sequence_size) for _ in range(job.num_sequences)]
        sizes = await asyncio.gather(*responses)
        return {"sizes": sizes, "total_seconds": time.perf_counter() - started_at}


def main(port: int) -> None:
    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Ingress.bind(Worker.bind()))  # type: ignore[attr-defined]
    sys.stdout.write(f"ready on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        serve.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(int(sys.argv[1]))

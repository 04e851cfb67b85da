"""Serve's own floor, with the service's flags: an ingress that calls no worker, and one whose worker does nothing.

Started by the launcher with ``serve_config.yaml``, its application replaced by ``application``.
"""

from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.cpus import CPUS

api = FastAPI()


class Job(BaseModel):
    sequence_size: int
    num_sequences: int


@serve.deployment(num_replicas=CPUS, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Worker:
    async def run(self, sequence_size: int) -> int:
        return sequence_size


@serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
@serve.ingress(api)
class Ingress:
    def __init__(self, worker: DeploymentHandle) -> None:  # type: ignore[type-arg]
        self._worker = worker

    @api.get("/readyz")
    async def readyz(self) -> None:
        await self._worker.run.remote(0)

    @api.post("/no-worker")
    async def answer(self, job: Job) -> dict[str, list[int]]:
        return {"sizes": [job.sequence_size]}

    @api.post("/idle-worker")
    async def ask_worker(self, job: Job) -> dict[str, list[int]]:
        return {"sizes": [await self._worker.run.remote(job.sequence_size)]}


application = Ingress.bind(Worker.bind())  # type: ignore[attr-defined]

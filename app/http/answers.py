"""What the status routes answer, as pydantic models: they serialise and document."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.status import DurableCounts, PoolStatus, WorkerStatus

EXAMPLE_WORKER: dict[str, JsonValue] = {
    "worker_id": "1kmwbh1u",
    "node_id": "5f5e3a4c2b1d",
    "state": "busy",
    "completed_batches": 118,
    "compute_seconds": 12.5,
}
EXAMPLE_DURABLE: dict[str, JsonValue] = {"available": True, "reason": None, "queued": 2, "running": 4, "finished": 118}
EXAMPLE_POOL: dict[str, JsonValue] = {
    "workers": [EXAMPLE_WORKER],
    "queued_jobs": 3,
    "unfinished_jobs": 5,
    "predicted_drain_seconds": 1.25,
    "ingress_replicas": 1,
    "durable": EXAMPLE_DURABLE,
}


class Response(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class WorkerModel(Response):
    """One worker of the pool."""

    model_config = ConfigDict(title="Worker", json_schema_extra={"example": EXAMPLE_WORKER})

    worker_id: str
    node_id: str | None = Field(description="null until it has replied once.")
    state: Literal["busy", "idle", "silent"] = Field(description="silent: no reply in time.")
    completed_batches: int = Field(description="Since the worker started.")
    compute_seconds: float = Field(description="Since the worker started.")

    @classmethod
    def of(cls, status: WorkerStatus) -> Self:
        state: Literal["busy", "idle", "silent"] = "busy" if status.busy else "idle"
        return cls(
            worker_id=status.worker_id,
            node_id=status.node_id,
            state=state if status.replied else "silent",
            completed_batches=status.completed_batches,
            compute_seconds=status.compute_seconds,
        )


class DurableModel(Response):
    """Durable jobs, those that are told by `GET /jobs`, of all callers."""

    model_config = ConfigDict(title="Durable", json_schema_extra={"example": EXAMPLE_DURABLE})

    available: bool = Field(description="Whether such jobs are accepted and can be read.")
    reason: str | None = Field(None, description="Why they are not available.")
    queued: int
    running: int
    finished: int = Field(description="Kept until they expire.")

    @classmethod
    def of(cls, counts: DurableCounts) -> Self:
        return cls.model_validate(counts)


class PoolResponse(Response):
    """The pool and the queue of the whole service, at most a second old."""

    model_config = ConfigDict(title="Pool", json_schema_extra={"example": EXAMPLE_POOL})

    workers: list[WorkerModel]
    queued_jobs: int = Field(description="Jobs of which a part has not been given to any worker.")
    unfinished_jobs: int = Field(description="Jobs admitted and not yet answered.")
    predicted_drain_seconds: float = Field(description="Until everything admitted is computed.")
    ingress_replicas: int = Field(description="Ingress replicas included in the sums.")
    durable: DurableModel | None = Field(None, description="Durable jobs; null: they were not asked about.")

    @classmethod
    def of(cls, status: PoolStatus) -> Self:
        return cls(
            workers=[WorkerModel.of(worker) for worker in status.workers],
            queued_jobs=sum(queue.queued_jobs for queue in status.queues),
            unfinished_jobs=sum(queue.unfinished_jobs for queue in status.queues),
            predicted_drain_seconds=sum(queue.drain_seconds for queue in status.queues),
            ingress_replicas=len(status.queues),
            durable=None if status.durable is None else DurableModel.of(status.durable),
        )


class Health(Response):
    """A health route's answer."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok", "checked": "2 of 2 workers replied"}})

    status: str
    checked: str

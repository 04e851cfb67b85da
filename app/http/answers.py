"""What the API answers, as pydantic models: they serialise results and document them."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.job import BatchRecord, Execution, JobResult, Timing
from app.kernels.fibonacci.terms import LastTerm
from app.status import PoolStatus, WorkerStatus

EXAMPLE_TIMING: dict[str, JsonValue] = {
    "total_seconds": 0.0956,
    "queued_seconds": 0.0002,
    "compute_seconds": 0.1764,
    "parallelism": 1.85,
    "num_workers": 2,
    "num_batches": 8,
    "predicted_compute_seconds": 0.1789,
}
EXAMPLE_LAST_TERM: dict[str, JsonValue] = {
    "index": 99999,
    "num_digits": 20899,
    "bit_length": 69423,
    "sha256": "87c081bee72c63f20ecf4bd6fecff2ab2515538d76f4737727dbdd6ddf99270d",
}
EXAMPLE_BATCH: dict[str, JsonValue] = {
    "worker_id": "1kmwbh1u",
    "node_id": "5f5e3a4c2b1d",
    "num_terms": 400000,
    "attempts": 1,
    "dispatched_at_seconds": 0.0002,
    "returned_at_seconds": 0.0931,
    "worker_queued_seconds": 0.0011,
    "compute_seconds": 0.0882,
}


EXAMPLE_JOB: dict[str, JsonValue] = {
    "job_id": "9f1b7c52d0d94f0a8c1f6a3f0f7d2f4e",
    "execution": "distributed",
    "sequence_size": 100000,
    "num_sequences": 4,
    "sizes": [100000, 100000, 100000, 100000],
    "last_term": EXAMPLE_LAST_TERM,
    "verification": {"num_segments": 6, "num_recomputed": 0},
    "timing": EXAMPLE_TIMING,
    "batches": [EXAMPLE_BATCH],
}
EXAMPLE_COMPARISON: dict[str, JsonValue] = {
    "local": EXAMPLE_JOB | {"execution": "local"},
    "distributed": EXAMPLE_JOB,
    "speedup": 1.87,
    "pool_workers": 2,
    "efficiency": 0.935,
}
EXAMPLE_WORKER: dict[str, JsonValue] = {
    "worker_id": "1kmwbh1u",
    "node_id": "5f5e3a4c2b1d",
    "state": "busy",
    "completed_batches": 118,
    "compute_seconds": 12.5,
}
EXAMPLE_POOL: dict[str, JsonValue] = {
    "workers": [EXAMPLE_WORKER],
    "queued_jobs": 3,
    "unfinished_jobs": 5,
    "predicted_drain_seconds": 1.25,
    "ingress_replicas": 1,
}


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class LastTermModel(_Response):
    """The generated last term of a sequence (they are all the same), without its digits."""

    model_config = ConfigDict(title="LastTerm", json_schema_extra={"example": EXAMPLE_LAST_TERM})

    index: int
    num_digits: int = Field(description="Decimal digits, exact.")
    bit_length: int
    sha256: str = Field(description="Over its big-endian bytes, as few as hold it, at least one.")

    @classmethod
    def of(cls, term: LastTerm | None) -> Self | None:
        return None if term is None else cls.model_validate(term)


class VerificationModel(_Response):
    """How the result was checked: the last two terms of every segment, exactly, by another algorithm.

    A segment is a stretch of terms that is computed in one piece; the other algorithm is fast doubling.
    """

    model_config = ConfigDict(title="Verification")

    num_segments: int = Field(description="Segments whose check is in the result.")
    num_recomputed: int = Field(description="Segments that failed it and were computed again.")


class TimingModel(_Response):
    """Where the time went, in seconds; durations only."""

    model_config = ConfigDict(title="Timing", json_schema_extra={"example": EXAMPLE_TIMING})

    total_seconds: float = Field(description="From acceptance to the last batch's return.")
    queued_seconds: float = Field(description="From acceptance to the first batch dispatched.")
    compute_seconds: float = Field(description="Time of computing, summed over the job's parts of all batches.")
    parallelism: float = Field(description="Compute over total: the mean number of busy workers.")
    num_workers: int = Field(description="Distinct workers that computed for the job.")
    num_batches: int
    predicted_compute_seconds: float = Field(description="What was predicted of compute_seconds at admission.")

    @classmethod
    def of(cls, timing: Timing) -> Self:
        return cls.model_validate(timing)


class BatchModel(_Response):
    """One batch's part in the job; a batch is what one call to a worker computes."""

    model_config = ConfigDict(title="Batch", json_schema_extra={"example": EXAMPLE_BATCH})

    worker_id: str
    node_id: str
    num_terms: int
    attempts: int = Field(
        description="Until one returned it: more than 1 if workers were lost with it, or got it wrong."
    )
    dispatched_at_seconds: float = Field(description="From the job's acceptance, ingress clock.")
    returned_at_seconds: float = Field(description="From the job's acceptance, ingress clock.")
    worker_queued_seconds: float = Field(description="On the worker, not computing.")
    compute_seconds: float

    @classmethod
    def of(cls, record: BatchRecord) -> Self:
        return cls.model_validate(record)


class JobResponse(_Response):
    """A finished job: every term generated, and the end of every segment checked."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE_JOB})

    job_id: str
    execution: Execution
    sequence_size: int
    num_sequences: int
    sizes: list[int] = Field(description="Terms generated of each sequence, as workers counted them.")
    last_term: LastTermModel | None = Field(description="null for sequences of size 0.")
    verification: VerificationModel
    timing: TimingModel
    batches: list[BatchModel] = Field(description="The first 1,000 dispatched.")

    @classmethod
    def of(cls, result: JobResult) -> Self:
        return cls(
            job_id=result.job.job_id,
            execution=result.job.execution,
            sequence_size=result.job.sequence_size,
            num_sequences=result.job.num_sequences,
            sizes=result.sizes,
            last_term=LastTermModel.of(result.last_term),
            verification=VerificationModel(num_segments=result.num_segments, num_recomputed=result.num_recomputed),
            timing=TimingModel.of(result.timing),
            batches=[BatchModel.of(record) for record in result.batches],
        )


class CompareResponse(_Response):
    """The same job run locally, then distributed, and the ratio of the two."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE_COMPARISON})

    local: JobResponse
    distributed: JobResponse
    speedup: float = Field(description="Local total seconds over distributed total seconds.")
    pool_workers: int
    efficiency: float = Field(description="Speed-up over pool_workers.")

    @classmethod
    def of(cls, local: JobResult, distributed: JobResult, pool_workers: int) -> Self:
        speedup = local.timing.total_seconds / distributed.timing.total_seconds
        return cls(
            local=JobResponse.of(local),
            distributed=JobResponse.of(distributed),
            speedup=speedup,
            pool_workers=pool_workers,
            efficiency=speedup / pool_workers,
        )


class WorkerModel(_Response):
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


class PoolResponse(_Response):
    """The pool and the queue of the whole service, at most a second old."""

    model_config = ConfigDict(title="Pool", json_schema_extra={"example": EXAMPLE_POOL})

    workers: list[WorkerModel]
    queued_jobs: int = Field(description="Jobs with terms that no worker has been given yet.")
    unfinished_jobs: int = Field(description="Jobs admitted and not yet answered.")
    predicted_drain_seconds: float = Field(description="Until all that was admitted is computed.")
    ingress_replicas: int = Field(description="Ingress replicas whose queues are in the sums.")

    @classmethod
    def of(cls, status: PoolStatus) -> Self:
        return cls(
            workers=[WorkerModel.of(worker) for worker in status.workers],
            queued_jobs=sum(queue.queued_jobs for queue in status.queues),
            unfinished_jobs=sum(queue.unfinished_jobs for queue in status.queues),
            predicted_drain_seconds=sum(queue.drain_seconds for queue in status.queues),
            ingress_replicas=len(status.queues),
        )


class Health(_Response):
    """A health route's answer."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok", "checked": "2 of 2 workers replied"}})

    status: str
    checked: str

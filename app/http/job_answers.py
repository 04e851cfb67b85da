"""What the routes of a kernel answer: the service's fields around the kernel's own, as pydantic models."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model
from pydantic_core import to_json

from app.http.answers import Response
from app.job import Execution, JobResult
from app.kernel import Kernel

EXAMPLE_TIMING: dict[str, JsonValue] = {
    "total_seconds": 0.0956,
    "queued_seconds": 0.0002,
    "compute_seconds": 0.1764,
    "parallelism": 1.85,
    "num_workers": 2,
    "num_batches": 8,
    "predicted_compute_seconds": 0.1789,
}
EXAMPLE_BATCH: dict[str, JsonValue] = {
    "worker_id": "1kmwbh1u",
    "node_id": "5f5e3a4c2b1d",
    "attempts": 1,
    "dispatched_at_seconds": 0.0002,
    "returned_at_seconds": 0.0931,
    "worker_queued_seconds": 0.0011,
    "compute_seconds": 0.0882,
}


class VerificationModel(Response):
    """How the result was checked: every segment, by another algorithm.

    A segment is a stretch that is computed in one piece.
    """

    model_config = ConfigDict(title="Verification")

    num_segments: int = Field(description="Checked segments in the result.")
    num_recomputed: int = Field(description="Segments that failed their check and were computed again.")


class TimingModel(Response):
    """Where the time went, in seconds; durations only."""

    model_config = ConfigDict(title="Timing", json_schema_extra={"example": EXAMPLE_TIMING})

    total_seconds: float = Field(description="From acceptance to the last batch's return.")
    queued_seconds: float = Field(description="From acceptance to the first batch dispatched.")
    compute_seconds: float = Field(description="Time spent computing, summed over the job's part of every batch.")
    parallelism: float = Field(description="Compute over total: the mean number of busy workers.")
    num_workers: int = Field(description="Distinct workers that computed for the job.")
    num_batches: int
    predicted_compute_seconds: float = Field(description="compute_seconds as predicted at admission.")


class BatchHead(Response):
    """Who computed it."""

    worker_id: str
    node_id: str


class BatchTail(Response):
    """How often it was tried, and when."""

    attempts: int = Field(description="How many it took: more than 1 if workers were lost with it, or got it wrong.")
    dispatched_at_seconds: float = Field(description="From the job's acceptance, ingress clock.")
    returned_at_seconds: float = Field(description="From the job's acceptance, ingress clock.")
    worker_queued_seconds: float = Field(description="Time on the worker not spent computing.")
    compute_seconds: float


class JobTail(Response):
    """How it was checked, and where its time went."""

    verification: VerificationModel
    timing: TimingModel


class CompareTail(Response):
    """The ratio of the two runs."""

    speedup: float = Field(description="Local total seconds over distributed total seconds.")
    pool_workers: int
    efficiency: float = Field(description="Speed-up over pool_workers.")


def _fields_of(model: type[BaseModel], attributes: Mapping[str, str] | None = None) -> Callable[[Any], dict[str, Any]]:
    """Reads the fields of ``model``, in its order, from an object whose attributes are called so, or as told."""
    names = tuple(model.model_fields)
    values = attrgetter(*((attributes or {}).get(name, name) for name in names))
    return lambda source: dict(zip(names, values(source), strict=True))


VERIFICATION = _fields_of(VerificationModel)
TIMING = _fields_of(TimingModel)


class JobAnswers:
    """The answers to the jobs of one kernel: the service's fields around its own."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._num_units = f"num_{kernel.unit}"
        examples = self._examples()
        self.example = examples["job"]
        batch: Any = create_model(
            f"{kernel.prefix}BatchModel",
            __base__=(
                BatchTail,
                _documented(examples["batch"], f"{kernel.prefix}Batch", **{self._num_units: (int, ...)}),
                BatchHead,
            ),
            __doc__="One batch's part in the job; a batch is what one call to a worker computes.",
        )
        self.batch, self._batch_fields = batch, _fields_of(batch, {self._num_units: "num_units"})
        self.job: Any = create_model(
            f"{kernel.prefix}JobResponse",
            # The last one's example counts: the kernel's has only its own fields.
            __base__=(
                JobTail,
                kernel.answer,
                _documented(examples["job"], None, job_id=(str, ...), execution=(Execution, ...)),
            ),
            __doc__=kernel.answer.__doc__,
            batches=(list[batch], Field(description="The first 1,000 dispatched.")),
        )
        self.comparison: Any = create_model(
            f"{kernel.prefix}CompareResponse",
            __base__=(
                CompareTail,
                _documented(examples["comparison"], None, local=(self.job, ...), distributed=(self.job, ...)),
            ),
            __doc__="The same job run locally, then distributed, and the ratio of the two.",
        )

    def of(self, result: JobResult) -> bytes:
        """The answer to a finished job, as JSON."""
        return to_json(self.fields_of(result))

    def compare(self, local: JobResult, distributed: JobResult, pool_workers: int) -> bytes:
        """The answer to the two runs of one job, as JSON."""
        speedup = local.timing.total_seconds / distributed.timing.total_seconds
        return to_json(
            {
                "local": self.fields_of(local),
                "distributed": self.fields_of(distributed),
                "speedup": speedup,
                "pool_workers": pool_workers,
                "efficiency": speedup / pool_workers,
            }
        )

    def fields_of(self, result: JobResult) -> dict[str, Any]:
        """The answer to a finished job, not yet encoded."""
        # Plain dicts with the fields of the models: making the models took longer than all the rest of the answer.
        return {
            "job_id": result.job.job_id,
            "execution": result.job.execution,
            **dict(self._kernel.answer.of(result.job.task, result.counts, result.part)),
            "verification": VERIFICATION(result),
            "timing": TIMING(result.timing),
            "batches": list(map(self._batch_fields, result.batches)),
        }

    def _examples(self) -> dict[str, dict[str, JsonValue]]:
        extra = self._kernel.answer.model_config.get("json_schema_extra")
        own: Any = extra.get("example", {}) if isinstance(extra, dict) else {}
        batch = EXAMPLE_BATCH | {self._num_units: 400000}
        job: dict[str, Any] = {"job_id": "9f1b7c52d0d94f0a8c1f6a3f0f7d2f4e", "execution": "distributed"}
        job |= own | {"verification": {"num_segments": 6, "num_recomputed": 0}, "timing": EXAMPLE_TIMING}
        job |= {"batches": [batch]}
        runs = {"local": job | {"execution": "local"}, "distributed": job}
        comparison = runs | {"speedup": 1.87, "pool_workers": 2, "efficiency": 0.935}
        return {"batch": batch, "job": job, "comparison": comparison}


def _documented(example: dict[str, JsonValue], title: str | None, **fields: Any) -> type[BaseModel]:
    """A base with these fields, whose configuration the model inherits."""
    config = ConfigDict(frozen=True, from_attributes=True, json_schema_extra={"example": example})
    if title is not None:
        config["title"] = title
    return create_model("Documented", __config__=config, **fields)

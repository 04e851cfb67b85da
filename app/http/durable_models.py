"""A durable job as the API tells it, as pydantic models: they document what ``durable_answers`` writes."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue, create_model

from app.durable.records import State
from app.http.answers import Response
from app.http.offered import Offered
from app.http.requests import Problem

EXAMPLE_ID = "9f1b7c52d0d94f0a8c1f6a3f0f7d2f4e"


class LinksModel(Response):
    """Where to go on, as paths of this service with its route prefix."""

    model_config = ConfigDict(title="Links")

    self: str
    events: str
    cancel: str


class DurableModels:
    """The models of the durable jobs of all the kernels."""

    def __init__(self, offered: Sequence[Offered]) -> None:
        progress = [_progress_model(each) for each in offered]
        pairs = list(zip(offered, progress, strict=True))
        self.jobs: dict[str, Any] = {each.kernel.name: _job_model(each, model) for each, model in pairs}
        """By the kernel's name."""
        self.any_job: Any = reduce(or_, self.jobs.values())
        summaries: Any = reduce(or_, (_job_model(each, model, summary=True) for each, model in pairs))
        self.page: Any = create_model(
            "DurableJobPage",
            __base__=Response,
            __doc__="Some of the caller's jobs, newest first.",
            jobs=(list[summaries], Field(description="Without their results.")),
            next_cursor=(str | None, Field(description="The `cursor` of the next page; null: this is the last.")),
        )


def example_of(offered: Offered, **changes: JsonValue) -> dict[str, JsonValue]:
    """A job that is running, but for the changes."""
    model = offered.kernel.request(offered.offer.limits)
    extra = model.model_config.get("json_schema_extra")
    own: Any = extra.get("examples", [{}]) if isinstance(extra, dict) else [{}]
    path, unit = f"/jobs/{EXAMPLE_ID}", offered.kernel.unit
    job: dict[str, Any] = {
        "job_id": EXAMPLE_ID,
        "kernel": offered.kernel.name,
        "state": "running",
        "done": False,
        "request": own[0] | {"timeout_seconds": None, "execution": "distributed"},
        "created_at": "2026-11-26T15:17:03.120Z",
        "started_at": "2026-11-26T15:17:03.871Z",
        "finished_at": None,
        "expires_at": None,
        "deadline_at": "2026-12-03T15:17:03.120Z",
        "queue_position": None,
        "progress": {
            "fraction": 0.412,
            unit: 164800000,
            f"total_{unit}": 400000000,
            "core_seconds": 3140.2,
            "predicted_core_seconds": 7630.0,
            "checkpoint_at": "2026-11-26T15:43:18.004Z",
        },
        "estimated_finish_at": "2026-11-26T16:20:41.500Z",
        "resumed": 1,
        "result": None,
        "error": None,
        "links": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
    }
    return job | changes


def succeeded_example(offered: Offered) -> dict[str, JsonValue]:
    """A job with its result."""
    return example_of(offered, result=offered.answers.example | {"batches": []}, **_over("succeeded"))


def failed_example(offered: Offered, error: JsonValue) -> dict[str, JsonValue]:
    """A job with its error."""
    return example_of(offered, error=error, **_over("failed"))


def cancelled_example(offered: Offered) -> dict[str, JsonValue]:
    """A job that was cancelled."""
    return example_of(offered, **_over("cancelled"))


def _over(state: str) -> dict[str, JsonValue]:
    times = {"finished_at": "2026-11-26T16:20:40.018Z", "expires_at": "2026-11-27T16:20:40.018Z"}
    return {"state": state, "done": True, "estimated_finish_at": None, **times}


def _progress_model(offered: Offered) -> Any:
    unit = offered.kernel.unit
    fields: dict[str, Any] = {
        "fraction": (float, Field(ge=0, le=1, description=f"{unit} over total_{unit}.")),
        unit: (int, Field(description="Computed, checked and kept.")),
        f"total_{unit}": (int, ...),
        "core_seconds": (float, Field(description="Spent on what is kept.")),
        "predicted_core_seconds": (float, Field(description="For the whole job, as predicted when it was accepted.")),
        "checkpoint_at": (datetime | None, Field(description="When it was last written down.")),
    }
    name = f"{offered.kernel.prefix}ProgressModel"
    doc = "How far the job is. It never goes back: only what is on disk counts."
    title = ConfigDict(title=f"{offered.kernel.prefix}Progress", frozen=True)
    return create_model(name, __config__=title, __doc__=doc, **fields)


def _job_model(offered: Offered, progress: Any, *, summary: bool = False) -> Any:
    example = example_of(offered)
    fields: dict[str, Any] = {
        "job_id": (str, ...),
        "kernel": (Literal[offered.kernel.name], Field(description="Where it was posted.")),
        "state": (State, Field(description="queued, running, and one of succeeded, failed and cancelled.")),
        "done": (bool, Field(description="Whether the state is one of the last three, which stay.")),
        "request": (dict[str, Any], Field(description="The body, with its defaults.")),
        "created_at": (datetime, Field(description="When it was accepted. All times are UTC.")),
        "started_at": (datetime | None, Field(description="When its first part was given to a worker.")),
        "finished_at": (datetime | None, ...),
        "expires_at": (datetime | None, Field(description="When the finished job is forgotten, at the latest.")),
        "deadline_at": (datetime, Field(description="If it is not finished by then, it fails.")),
        "queue_position": (int | None, Field(description="While queued: how many of your jobs come before it.")),
        "progress": (progress, ...),
        "estimated_finish_at": (datetime | None, Field(description="null while nothing is known of the speed.")),
        "resumed": (int, Field(description="How often it was gone on with after what ran it had stopped.")),
        "result": (
            offered.answers.job | None,
            Field(description="Of a job that succeeded: what it would have been answered; `batches` is empty."),
        ),
        "error": (Problem | None, Field(description="Of a job that failed: a problem, as in RFC 9457.")),
        "links": (LinksModel, ...),
    }
    if summary:
        del fields["result"], example["result"]
    return create_model(
        f"{offered.kernel.prefix}DurableJob{'Summary' if summary else 'Response'}",
        __config__=ConfigDict(frozen=True, json_schema_extra={"example": example}),
        __doc__="A job in the list: all but its result." if summary else "A job that goes on without its caller.",
        **fields,
    )

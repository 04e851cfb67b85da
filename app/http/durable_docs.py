"""What the OpenAPI document says of durable jobs: their headers, links and examples."""

from typing import Any

from app.errors import GaveUpError
from app.http.durable_models import (
    DurableModels,
    cancelled_example,
    example_of,
    failed_example,
    succeeded_example,
)
from app.http.offered import Offered
from app.http.preferences import MAX_GET_WAIT_SECONDS, MAX_POST_WAIT_SECONDS
from app.http.problems import job_problem
from app.settings import Settings

TEXT = {"type": "string"}
PATH_PARAMETER = {"name": "job_id", "in": "path", "required": True, "schema": TEXT}
JOB_PARAMETER = {"job_id": "$response.body#/job_id"}
LINKS = {
    name: {"operationId": name, "parameters": JOB_PARAMETER}
    for name in ("read_job", "cancel_job", "delete_job", "read_job_events")
}
RETRY_AFTER = {
    "schema": {"type": "integer", "minimum": 1, "maximum": 60},
    "description": "Seconds, until the job is done.",
}
APPLIED = {"schema": TEXT, "description": "What of Prefer was honoured; a wait that is too long is shortened."}
VARY = {"schema": TEXT, "description": "Prefer."}
ETAG = {"schema": TEXT, "description": "Of all that is told, the estimate included."}
EVENTS = """retry: 2000
event: job
id: 3-17
data: {"job_id": "9f1b7c52d0d94f0a8c1f6a3f0f7d2f4e", "state": "running", "done": false}

event: done
id: 3-18
data: {"job_id": "9f1b7c52d0d94f0a8c1f6a3f0f7d2f4e", "state": "succeeded", "done": true}

"""


def parameter(name: str, description: str, *examples: str) -> dict[str, Any]:
    """A header that a request may have."""
    doc: dict[str, Any] = {"name": name, "in": "header", "required": False, "schema": TEXT, "description": description}
    if examples:
        doc["examples"] = {example: {"value": example} for example in examples}
    return doc


def post_description(summary: str, settings: Settings) -> str:
    """What a kernel's route says of both kinds of job."""
    return (
        f"{summary}\n\nWith `Prefer: respond-async` the job goes on without its caller, even if the service is started "
        "again, and is answered at once with 202 and where to find it, or with 200 if it was done within `wait`. Then "
        f"`timeout_seconds` may be up to {settings.max_job_timeout_seconds:g}, which is also the default, and "
        "`execution` must be `distributed`."
    )


def post_parameters() -> dict[str, Any]:
    """The headers of a kernel's route."""
    prefer = (
        f"`respond-async`: a durable job; `wait=N` with it: the answer may take N seconds, at most "
        f"{MAX_POST_WAIT_SECONDS}, if the job is done by then. Everything else is ignored."
    )
    key = (
        "With `respond-async`: 1 to 255 visible ASCII characters, in quotes or not. The same key with the same body "
        "stands for the same job, for as long as it is kept. Otherwise it is ignored."
    )
    return {
        "parameters": [
            parameter("Prefer", prefer, "respond-async", "respond-async, wait=10"),
            parameter("Idempotency-Key", key),
        ]
    }


def post_responses(offered: Offered, models: DurableModels) -> dict[int | str, dict[str, Any]]:
    """The answers of a kernel's route to those who prefer to come back."""
    accepted: dict[str, Any] = {
        "description": "Accepted: a durable job, on disk.",
        "model": models.jobs[offered.kernel.name],
        "headers": {
            "Location": {"schema": TEXT, "description": "The job's path.", "required": True},
            "Retry-After": RETRY_AFTER | {"required": True},
            "Preference-Applied": APPLIED | {"required": True},
            "Vary": VARY,
        },
        "content": {"application/json": {"examples": {"running": {"value": example_of(offered)}}}},
        "links": LINKS,
    }
    return {200: {"headers": {"Preference-Applied": APPLIED, "Vary": VARY}}, 202: accepted}


def job_parameters() -> dict[str, Any]:
    """The headers of the route of one job."""
    prefer = f"`wait=N`: the answer may take N seconds, at most {MAX_GET_WAIT_SECONDS}, until the job is done."
    known = parameter("If-None-Match", "An `ETag`: 304 if nothing has changed.")
    return {"parameters": [PATH_PARAMETER, parameter("Prefer", prefer, "wait=10"), known]}


def job_responses(offered: list[Offered]) -> dict[int | str, dict[str, Any]]:
    """The answers of the route of one job."""
    first = offered[0]
    error = job_problem(GaveUpError(3))[0].model_dump(exclude_none=True)
    examples = {
        "running": example_of(first),
        "succeeded": succeeded_example(first),
        "failed": failed_example(first, error),
        "cancelled": cancelled_example(first),
    }
    headers = {"ETag": ETAG, "Retry-After": RETRY_AFTER, "Preference-Applied": APPLIED, "Vary": VARY}
    content = {"application/json": {"examples": {name: {"value": value} for name, value in examples.items()}}}
    return {
        200: {"description": "The job as it is now.", "headers": headers, "content": content, "links": LINKS},
        304: {"description": "Not Modified", "headers": {"ETag": ETAG, "Retry-After": RETRY_AFTER, "Vary": VARY}},
    }


def cancel_responses(offered: list[Offered]) -> dict[int | str, dict[str, Any]]:
    """The answer to cancelling."""
    content = {"application/json": {"examples": {"cancelled": {"value": cancelled_example(offered[0])}}}}
    return {200: {"description": "The job, which is over.", "content": content, "links": LINKS}}


def event_responses(models: DurableModels) -> dict[int | str, dict[str, Any]]:
    """The answers of a job's events, which are documented as FastAPI does it for its own."""
    jobs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models.jobs.values()]
    data = TEXT | {
        "contentMediaType": "application/json",
        "contentSchema": jobs[0] if len(jobs) == 1 else {"anyOf": jobs},
    }
    event = {
        "type": "object",
        "properties": {
            "event": TEXT | {"enum": ["job", "progress", "done"]},
            "id": TEXT,
            "data": data,
            "retry": {"type": "integer", "minimum": 0},
        },
        "required": ["event", "id", "data"],
    }
    stream = {
        "description": "Server-sent events `job`, `progress` and `done`, each with the whole job.",
        "headers": {"Cache-Control": {"schema": TEXT, "description": "no-store."}},
        "content": {"text/event-stream": {"itemSchema": event, "examples": {"finished": {"value": EVENTS}}}},
    }
    return {200: stream, 204: {"description": "The job is done, and Last-Event-ID was its last event."}}


def event_parameters() -> dict[str, Any]:
    """The header that browsers send when they come back."""
    last = parameter("Last-Event-ID", "The `id` of the last event that arrived.", "3-18")
    return {"parameters": [PATH_PARAMETER, last]}

"""What the OpenAPI document says about errors."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.errors import (
    CallerLimitError,
    DeadlineError,
    DrainingError,
    JobError,
    JobsUnavailableError,
    KeyReusedError,
    NoSuchJobError,
    NoWorkerError,
    QueueFullError,
    TooCostlyError,
)
from app.http.problems import job_problem, phrase, untyped_problem
from app.http.requests import Problem


def add_problem_model(app: FastAPI) -> None:
    """Put the model that ``problem_docs`` refers to into the document: no route declares it."""
    undocumented = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = undocumented()
            _, definitions = models_json_schema(
                [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
            )
            document["components"]["schemas"] |= definitions["$defs"]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


EXAMPLE_ERRORS: tuple[JobError, ...] = (
    TooCostlyError(1234.5, 600.0),
    QueueFullError("The work ahead of this job would take 73.2 s; the limit is 60 s.", 14),
    CallerLimitError("alice already has 300 unfinished jobs; the limit for one caller is 300.", 3),
    NoWorkerError(30.0),
    DrainingError(),
    DeadlineError(300.0),
)
"""Of a job whose caller waits for it."""
DURABLE_ERRORS: tuple[JobError, ...] = (
    JobsUnavailableError("The keeper of the jobs does not answer.", 5),
    NoSuchJobError(),
)
"""Of requests about a durable job."""
POST_ERRORS = (*EXAMPLE_ERRORS, KeyReusedError(), DURABLE_ERRORS[0])
"""Of a route that takes both kinds of job."""


def problem_docs(
    *statuses: int, field: str = "", errors: Sequence[JobError] = EXAMPLE_ERRORS, place: str = "body"
) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of these statuses, with an example of each of the errors that have it.

    In that of 422 the ``field`` is wrong, which is in this ``place`` of the request.
    """
    problems = [job_problem(error)[0] for error in errors]
    return {status: _problem_doc(status, [place, field], problems) for status in statuses}


def _problem_doc(status: int, location: list[str], problems: list[Problem]) -> dict[str, Any]:
    typed = [problem for problem in problems if problem.status == status]
    examples: dict[str, Any] = {
        problem.type.rpartition("/")[2]: {"value": problem.model_dump(exclude_none=True)} for problem in typed
    }
    if not typed or status == 422:
        value = untyped_problem(status).model_dump(exclude_none=True)
        if status == 422:
            value["errors"] = [{"location": location, "message": "Input should be a valid integer"}]
        examples["plain"] = {"value": value}
    doc: dict[str, Any] = {
        "description": phrase(status),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }
    if status in (429, 503):
        doc["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}
    return doc

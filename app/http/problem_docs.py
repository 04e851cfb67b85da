"""What the OpenAPI document says about errors."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.errors import CallerLimitError, DeadlineError, DrainingError, NoWorkerError, QueueFullError, TooCostlyError
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


def problem_docs(*statuses: int, field: str = "") -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of these statuses, with an example each: in that of 422 the ``field`` is wrong."""
    return {status: _problem_doc(status, field) for status in statuses}


EXAMPLE_ERRORS = (
    TooCostlyError(1234.5, 600.0),
    QueueFullError("The work ahead of this job would take 73.2 s; the limit is 60 s.", 14),
    CallerLimitError("alice already has 300 unfinished jobs; the limit for one caller is 300.", 3),
    NoWorkerError(30.0),
    DrainingError(),
    DeadlineError(300.0),
)


def _problem_doc(status: int, field: str) -> dict[str, Any]:
    problems = [job_problem(error)[0] for error in EXAMPLE_ERRORS]
    typed = [problem for problem in problems if problem.status == status]
    examples: dict[str, Any] = {
        problem.type.rpartition("/")[2]: {"value": problem.model_dump(exclude_none=True)} for problem in typed
    }
    if not typed or status == 422:
        value = untyped_problem(status).model_dump(exclude_none=True)
        if status == 422:
            location = ["body", field]
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

"""Every error as problem details (RFC 9457): what status, what type, and the page that explains it."""

import html
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException as StarletteHTTPException

from app.errors import (
    CallerLimitError,
    ComputationError,
    DeadlineError,
    DrainingError,
    JobError,
    NoWorkerError,
    QueueFullError,
    TooCostlyError,
)
from app.schemas import Problem

NO_WORKER_RETRY_SECONDS = 10
"""Serve replaces a dead worker in 6 to 10 seconds."""

logger = logging.getLogger("ray.serve")
"""The one logger that Serve gives a handler, in a replica: with time, level, and JSON if the configuration wants it."""

MAX_ERRORS_TOLD = 20
MAX_NAME_TOLD = 80
"""An answer to a wrong body must not be larger than the body."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem with a page of its own."""

    status: int
    title: str
    meaning: str
    what_to_do: str


PROBLEM_TYPES = {
    "too-costly": ProblemType(
        422,
        "Job too costly",
        "The job alone is predicted to need more core-seconds than the service admits; nothing was computed.",
        "Ask for fewer or shorter sequences. The answer carries the predicted cost and the limit "
        "(setting max_compute_seconds).",
    ),
    "queue-full": ProblemType(
        429,
        "Queue full",
        "The job is predicted to wait longer for the work ahead of it than the service lets a new job wait (setting "
        "max_queued_seconds; the job's own time does not count), or the service holds as many jobs as it may "
        "(max_queued_jobs). Nothing was computed.",
        "Post the job again after the seconds in Retry-After.",
    ),
    "caller-limit": ProblemType(
        429,
        "Caller limit",
        "The caller, known by its API key, has as many unfinished jobs as one caller may have (setting "
        "max_caller_jobs), or its own unfinished jobs would delay this one for too long (max_caller_queued_seconds; "
        "a longer job counts only as much as the new one). Other callers are unaffected. Nothing was computed.",
        "Post the job again after the seconds in Retry-After, or when an earlier job is answered.",
    ),
    "no-worker": ProblemType(
        503,
        "No worker",
        "No worker was alive for as long as jobs wait for one (setting worker_wait_seconds).",
        "Post the job again after the seconds in Retry-After. If it lasts, look at GET /pool and at the nodes.",
    ),
    "draining": ProblemType(
        503,
        "Shutting down",
        "The service is shutting down: it finishes the jobs that it has and takes no new ones.",
        "Post the job again after the seconds in Retry-After, or to another instance.",
    ),
    "deadline": ProblemType(
        504,
        "Deadline over",
        "The job was not finished within its timeout_seconds; its computing was stopped.",
        "Give it more time, up to the service's maximum, or make it smaller.",
    ),
}


def problem_response(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as application/problem+json, with the request's id."""
    problem = problem.model_copy(update={"request_id": request.headers.get("x-request-id")})
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


def typed_problem(name: str, detail: str, **extensions: Any) -> Problem:
    """A problem of one of ``PROBLEM_TYPES``."""
    kind = PROBLEM_TYPES[name]
    return Problem(type=f"/problems/{name}", title=kind.title, status=kind.status, detail=detail, **extensions)


def untyped_problem(status: int, detail: str | None = None, **extensions: Any) -> Problem:
    """A problem whose status says it all."""
    return Problem(title=_phrase(status), status=status, detail=detail, **extensions)


def _phrase(status: int) -> str:
    """RFC 9110's phrase, which Python has of all of them since 3.13."""
    return {413: "Content Too Large", 422: "Unprocessable Content"}.get(status) or HTTPStatus(status).phrase


def job_problem(error: JobError) -> tuple[Problem, dict[str, str]]:
    """What a job's error becomes: the problem and its headers."""
    match error:
        case TooCostlyError(predicted_compute_seconds=predicted, max_compute_seconds=limit):
            detail = f"Predicted {predicted:.6g} core-seconds; the limit is {limit:g}."
            predicted_seconds = {"predicted_compute_seconds": predicted, "max_compute_seconds": limit}
            return typed_problem("too-costly", detail, **predicted_seconds), {}
        case (
            QueueFullError(reason=reason, retry_after_seconds=retry)
            | CallerLimitError(reason=reason, retry_after_seconds=retry)
        ):
            name = "queue-full" if isinstance(error, QueueFullError) else "caller-limit"
            return _retry_later(typed_problem(name, reason), retry)
        case NoWorkerError(waited_seconds=waited):
            detail = f"No worker for {waited:g} s."
            return _retry_later(typed_problem("no-worker", detail), NO_WORKER_RETRY_SECONDS)
        case DrainingError():
            detail = "No new jobs are taken."
            return _retry_later(typed_problem("draining", detail), NO_WORKER_RETRY_SECONDS)
        case DeadlineError(timeout_seconds=timeout):
            return typed_problem("deadline", f"Not finished within {timeout:g} s."), {}
        case _:
            return untyped_problem(500, "The job could not be computed."), {}


def _retry_later(problem: Problem, seconds: int) -> tuple[Problem, dict[str, str]]:
    problem = problem.model_copy(update={"retry_after_seconds": seconds})
    return problem, {"Retry-After": str(seconds)}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem, and serve the pages that explain them."""

    @app.exception_handler(JobError)
    async def job_error(request: Request, error: JobError) -> Response:
        if isinstance(error, ComputationError):
            logger.error("job failed", exc_info=error)
        problem, headers = job_problem(error)
        return problem_response(request, problem, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"location": [_shorten(part) for part in e["loc"]], "message": e["msg"]}
            for e in error.errors()[:MAX_ERRORS_TOLD]
        ]
        return problem_response(request, untyped_problem(422, "The body is invalid.", errors=errors))

    @app.exception_handler(StarletteHTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        detail = None if error.detail == HTTPStatus(error.status_code).phrase else error.detail
        problem = untyped_problem(error.status_code, detail)
        return problem_response(request, problem, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        logger.error("unexpected error", exc_info=error)
        return problem_response(request, untyped_problem(500))

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = FastAPI.openapi(app)  # what `problem_docs` refers to is no route's model
            _, definitions = models_json_schema(
                [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
            )
            document["components"]["schemas"] |= definitions["$defs"]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]

    @app.head("/problems/{name}", include_in_schema=False)
    @app.get("/problems/{name}", include_in_schema=False)
    async def problem_page(name: str) -> HTMLResponse:
        if (kind := PROBLEM_TYPES.get(name)) is None:
            raise HTTPException(404)
        title = html.escape(f"{kind.status} {kind.title}")
        return HTMLResponse(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f"<h1>{title}</h1><p>{html.escape(kind.meaning)}</p>"
            f"<h2>What to do</h2><p>{html.escape(kind.what_to_do)}</p></html>"
        )


def _shorten(name: str | int) -> str | int:
    return name[:MAX_NAME_TOLD] if isinstance(name, str) else name


def problem_docs(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of these statuses, with an example each."""
    return {status: _problem_doc(status) for status in statuses}


EXAMPLE_ERRORS = (
    TooCostlyError(1234.5, 600.0),
    QueueFullError("What stands ahead of the job takes 73.2 s, longer than 60 s.", 14),
    CallerLimitError("300 jobs of alice are unfinished: no more are held for one caller.", 3),
    NoWorkerError(30.0),
    DrainingError(),
    DeadlineError(300.0),
)


def _problem_doc(status: int) -> dict[str, Any]:
    problems = [job_problem(error)[0] for error in EXAMPLE_ERRORS]
    typed = [problem for problem in problems if problem.status == status]
    examples: dict[str, Any] = {
        problem.type.rpartition("/")[2]: {"value": problem.model_dump(exclude_none=True)} for problem in typed
    }
    if not typed or status == 422:
        value = untyped_problem(status).model_dump(exclude_none=True)
        if status == 422:
            location = ["body", "sequence_size"]
            value["errors"] = [{"location": location, "message": "Input should be a valid integer"}]
        examples["plain"] = {"value": value}
    doc: dict[str, Any] = {
        "description": _phrase(status),
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

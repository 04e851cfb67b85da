"""Every error as problem details (RFC 9457): its status, its type, and the page that explains it."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from app.errors import (
    CallerLimitError,
    DeadlineError,
    DrainingError,
    GaveUpError,
    JobError,
    JobsUnavailableError,
    KeyReusedError,
    NoSuchJobError,
    NoWorkerError,
    QueueFullError,
    TooCostlyError,
)
from app.http.body import JsonRoute
from app.http.methods import allowed_methods
from app.http.problem_pages import PROBLEM_TYPES
from app.http.request_log import log_problem
from app.http.requests import Problem

NO_WORKER_RETRY_SECONDS = 10
"""Serve replaces a dead worker in 6 to 10 seconds."""

MAX_ERRORS_TOLD = 20
MAX_NAME_TOLD = 80
"""An answer to a wrong body must not be larger than the body."""


def problem_response(
    request: Request, problem: Problem, headers: dict[str, str] | None = None, error: Exception | None = None
) -> Response:
    """The problem as application/problem+json, with the request's id, and its line in the log.

    A type that has a page leads there under any route prefix. The traceback of ``error`` goes with the line.
    """
    log_problem(request, problem, error)
    problem = under_prefix(problem, request.scope.get("root_path", ""))
    problem = problem.model_copy(update={"request_id": request.headers.get("x-request-id")})
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


def under_prefix(problem: Problem, root_path: str) -> Problem:
    """The problem as it is told behind a route prefix."""
    return problem.model_copy(update={"type": root_path + problem.type}) if problem.type.startswith("/") else problem


def typed_problem(name: str, detail: str, **extensions: Any) -> Problem:
    """A problem of one of ``PROBLEM_TYPES``."""
    kind = PROBLEM_TYPES[name]
    return Problem(type=f"/problems/{name}", title=kind.title, status=kind.status, detail=detail, **extensions)


def untyped_problem(status: int, detail: str | None = None, **extensions: Any) -> Problem:
    """A problem whose status says it all."""
    return Problem(title=phrase(status), status=status, detail=detail, **extensions)


def phrase(status: int) -> str:
    """RFC 9110's phrase; Python has it for every status only since 3.13."""
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
            detail = f"No worker was alive for {waited:g} s."
            return _retry_later(typed_problem("no-worker", detail), NO_WORKER_RETRY_SECONDS)
        case DrainingError():
            detail = "No new jobs are accepted."
            return _retry_later(typed_problem("draining", detail), NO_WORKER_RETRY_SECONDS)
        case DeadlineError(timeout_seconds=timeout):
            return typed_problem("deadline", f"Not finished within {timeout:g} s."), {}
        case _:
            return _durable_problem(error)


def _durable_problem(error: JobError) -> tuple[Problem, dict[str, str]]:
    """What only durable jobs have; everything else is a part of a job that could not be computed."""
    match error:
        case JobsUnavailableError(reason=reason, retry_after_seconds=retry):
            return _retry_later(typed_problem("jobs-unavailable", reason), retry)
        case NoSuchJobError():
            return typed_problem("no-such-job", "No job of yours has this id."), {}
        case KeyReusedError():
            return typed_problem("idempotency-key-reused", "This key was sent with another job before."), {}
        case GaveUpError(times=times):
            detail = f"It was gone on with {times} times in a row, and got no further."
            return typed_problem("gave-up", detail), {}
        case _:
            return untyped_problem(500, "The job could not be computed."), {}


def _retry_later(problem: Problem, seconds: int) -> tuple[Problem, dict[str, str]]:
    problem = problem.model_copy(update={"retry_after_seconds": seconds})
    return problem, {"Retry-After": str(seconds)}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem, with a line in the log if it is worth looking for."""

    @app.exception_handler(JobError)
    async def job_error(request: Request, error: JobError) -> Response:
        problem, headers = job_problem(error)
        return problem_response(request, problem, headers, error if problem.status == 500 else None)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        errors = [
            {"location": [_shorten(part) for part in e["loc"]], "message": e["msg"]} for e in found[:MAX_ERRORS_TOLD]
        ]
        detail = f"The {found[0]['loc'][0]} is invalid."
        if any(e["type"] == "extra_forbidden" for e in found):
            detail += f" Its fields are {', '.join(_body_fields(request))}."
        return problem_response(request, untyped_problem(422, detail, errors=errors))

    @app.exception_handler(StarletteHTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        detail = None if error.detail == HTTPStatus(error.status_code).phrase else error.detail
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = allowed_methods(app.routes, request.scope) or "GET, HEAD"  # of a file
        return problem_response(request, untyped_problem(error.status_code, detail), headers)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return problem_response(request, untyped_problem(500), error=error)


def _body_fields(request: Request) -> Iterable[str]:
    """The names that the body of this route may have."""
    route: JsonRoute = request.scope["route"]
    return route.body_model.model_fields


def _shorten(name: str | int) -> str | int:
    return name[:MAX_NAME_TOLD] if isinstance(name, str) else name

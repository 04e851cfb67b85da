"""One line in the log for each request that is refused or fails, and for each job whose caller leaves."""

import logging

from fastapi import Request

from app.durable.records import NewJob
from app.http.requests import Problem
from app.job import Job

logger = logging.getLogger("ray.serve")
"""The one logger that Serve gives a handler, in a replica: with time, level, and JSON if the configuration wants it."""
REFUSED = (401, 429)
LEFT = 499
"""The status that Serve and HAProxy log when the caller has left; nobody gets it as an answer."""


def note_jobs(request: Request, *jobs: Job | NewJob) -> None:
    """Remember the jobs that the request's line would name."""
    request.state.jobs = jobs


def log_problem(request: Request, problem: Problem, error: Exception | None = None) -> None:
    """A line for a refusal or a failure, with the traceback of ``error``. A request that is wrong in itself gets none:
    its answer says it all, and anybody can send any number of them."""
    explained = problem.type == "about:blank" or problem.status == 404
    if problem.status >= 500 or problem.status in REFUSED or not explained:
        level = logging.ERROR if problem.status >= 500 else logging.WARNING
        _log(
            request,
            level,
            problem.status,
            f"{problem.title}: {problem.detail}" if problem.detail else problem.title,
            error,
        )


def log_left(request: Request) -> None:
    """A line for the jobs of a caller that has left: they end unfinished."""
    _log(request, logging.WARNING, LEFT, "Caller left", None)


def _log(request: Request, level: int, status: int, why: str, error: Exception | None) -> None:
    ids = " ".join(job.job_id for job in getattr(request.state, "jobs", ()))
    # Not to the standard error too: it would cost as much again, and nothing bounds the file where Ray keeps that.
    extra = {"request_id": request.headers.get("x-request-id", "-"), "log_to_stderr": False}
    logger.log(level, "%d %s%s", status, f"job {ids}: " if ids else "", why, exc_info=error, extra=extra)

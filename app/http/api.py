"""The HTTP API: ``create_app`` returns a FastAPI over a dispatcher. It knows nothing of Ray."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.types import ASGIApp

from app import __version__
from app.dispatch.dispatcher import Dispatcher
from app.errors import DrainingError
from app.http.answers import Health, PoolResponse
from app.http.authentication import caller_of, require_keys
from app.http.body import json_route
from app.http.docs import add_docs_page
from app.http.headers import SecurityHeaders
from app.http.job_answers import JobAnswers
from app.http.problem_docs import add_problem_model, problem_docs
from app.http.problem_pages import add_problem_pages
from app.http.problems import add_problem_handlers
from app.http.request_log import log_left, note_jobs
from app.http.requests import JobRequests
from app.http.unread_body import ReadOn
from app.job import Execution, Job, JobResult, Timing
from app.kernel import Offer, offers_of
from app.keys import KnowsCallers
from app.settings import Settings
from app.status import ReadPool

DESCRIPTION = """Fibonacci jobs, computed in parallel on a Ray cluster: a CPU-bound service on Ray Serve.

Post a job; the answer says what was computed and where the time went. Fields are only ever added: ignore those that you
do not know. Integers are written without a decimal point or an exponent. Every error is `application/problem+json`
(RFC 9457). A client needs a timeout longer than the job's deadline; some have one of exactly 300 s by default."""

RETRY_SOON = {"Retry-After": "1"}
JOB_ERRORS = (400, 408, 413, 415, 422, 429, 500, 503, 504)


class Api(FastAPI):
    """A FastAPI with middleware that every answer passes through.

    Not by ``add_middleware``: the answer to an unexpected error bypasses what that adds.
    """

    def __init__(self, body_timeout_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._body_timeout_seconds = body_timeout_seconds

    def build_middleware_stack(self) -> ASGIApp:
        """Called by Starlette before the first request."""
        return ReadOn(SecurityHeaders(super().build_middleware_stack()), self._body_timeout_seconds)


def create_app(
    dispatcher: Dispatcher, settings: Settings, read_pool: ReadPool, keys: KnowsCallers | None = None
) -> FastAPI:
    """The API over one dispatcher; ``read_pool`` asks the whole service. With ``keys``, callers need one of them."""
    app = Api(
        settings.body_timeout_seconds,
        title="Fibonacci service",
        version=__version__,
        description=DESCRIPTION,
        responses=problem_docs(500),
        docs_url=None,  # FastAPI's own pages load their files from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to wherever the Host header says
    )
    add_problem_handlers(app)
    add_problem_model(app)
    add_problem_pages(app)
    add_docs_page(app)
    for offer in offers_of(settings):
        app.include_router(_job_routes(dispatcher, offer, settings))
    app.include_router(_status_routes(dispatcher, read_pool))
    if keys is not None:
        require_keys(app, keys)
    return app


def _job_routes(dispatcher: Dispatcher, offer: Offer, settings: Settings) -> APIRouter:
    """A kernel's two routes."""
    router = APIRouter(route_class=json_route(settings.body_timeout_seconds), tags=["jobs"])
    kernel, requests, answers = offer.kernel, JobRequests(offer, settings), JobAnswers(offer.kernel)
    JobRequest, CompareRequest = requests.job, requests.compare  # noqa: N806 (classes)
    suffix = f"_{kernel.name.replace('-', '_')}" if kernel.prefix else ""

    def new_job(body: Any, execution: Execution, caller: str) -> Job:
        task = kernel.task(offer.limits, body, max(1, dispatcher.num_workers))
        return Job(uuid.uuid4().hex, task, execution, caller)

    async def run(http: Request, body: Any, *jobs: Job) -> list[JobResult]:
        note_jobs(http, *jobs)
        try:
            return await dispatcher.run(*jobs, timeout_seconds=body.timeout_seconds)
        except asyncio.CancelledError:
            log_left(http)
            raise

    async def encoded(answer: Callable[[], BaseModel]) -> str:
        if kernel.large_answers:
            return await asyncio.to_thread(lambda: answer().model_dump_json())
        return answer().model_dump_json()

    @router.post(
        f"/{kernel.name}",
        summary="Run a job",
        description=kernel.summary,
        operation_id=f"run_job{suffix}",
        response_model=answers.job,
        responses=problem_docs(*JOB_ERRORS, field=requests.first_field),
    )
    async def run_job(body: JobRequest, http: Request) -> Response:  # type: ignore[valid-type]
        request: Any = body
        job = new_job(request, request.execution, caller_of(http))
        (result,) = await run(http, request, job)
        return _json(await encoded(lambda: answers.of(result)), result.timing)

    @router.post(
        f"/{kernel.name}/compare",
        summary="Run a job locally, then distributed, and compare",
        operation_id=f"compare{suffix}",
        response_model=answers.comparison,
        responses=problem_docs(*JOB_ERRORS, field=requests.first_field),
    )
    async def compare(body: CompareRequest, http: Request) -> Response:  # type: ignore[valid-type]
        """Both runs are really made, one after the other, under one deadline and one admission."""
        request: Any = body
        jobs = [new_job(request, how, caller_of(http)) for how in (Execution.LOCAL, Execution.DISTRIBUTED)]
        local, distributed = await run(http, request, *jobs)
        pool_workers = max(1, dispatcher.num_workers)
        content = await encoded(lambda: answers.compare(local, distributed, pool_workers))
        return _json(content, local.timing, distributed.timing)

    return router


def _status_routes(dispatcher: Dispatcher, read_pool: ReadPool) -> APIRouter:
    router = APIRouter(tags=["status"])

    @router.head("/pool", include_in_schema=False)
    @router.get("/pool", summary="The workers and the queue", operation_id="read_pool")
    async def pool() -> PoolResponse:
        """Of the whole service, whichever ingress replica answers; at most a second old."""
        return PoolResponse.of(await read_pool())

    @router.head("/livez", include_in_schema=False)
    @router.get("/livez", summary="Does the process answer?", operation_id="livez")
    async def livez() -> Health:
        return Health(status="ok", checked="this process answers")

    @router.head("/readyz", include_in_schema=False)
    @router.get(
        "/readyz",
        summary="Can jobs be computed?",
        operation_id="readyz",
        responses=problem_docs(503),
    )
    async def readyz() -> Health:
        """200 while at least one worker is alive and has answered, and new jobs are accepted."""
        if dispatcher.leaving or dispatcher.draining:
            raise DrainingError
        workers = (await read_pool()).workers
        replied = sum(worker.replied for worker in workers)
        if not replied:
            raise HTTPException(503, f"None of {len(workers)} workers replied.", RETRY_SOON)
        return Health(status="ok", checked=f"{replied} of {len(workers)} workers replied")

    return router


def _json(content: str, *timings: Timing) -> Response:
    """The answer, with the timings' sums in Server-Timing (milliseconds)."""
    queue = sum(timing.queued_seconds for timing in timings)
    compute = sum(timing.compute_seconds for timing in timings)
    total = sum(timing.total_seconds for timing in timings)
    parts = (("queue", queue), ("compute", compute), ("total", total))
    server_timing = ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in parts)
    return Response(
        content,
        media_type="application/json",
        headers={"Server-Timing": server_timing},
    )

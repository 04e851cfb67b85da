"""The HTTP API: ``create_app`` gives a FastAPI over a dispatcher. It knows nothing of Ray."""

import asyncio
import uuid
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from starlette.types import ASGIApp

from app import __version__
from app.dispatch.dispatcher import Dispatcher
from app.errors import DrainingError
from app.http.answers import CompareResponse, Health, JobResponse, PoolResponse
from app.http.authentication import caller_of, require_keys
from app.http.body import json_route
from app.http.docs import add_docs_page
from app.http.headers import SecurityHeaders
from app.http.problem_docs import add_problem_model, problem_docs
from app.http.problem_pages import add_problem_pages
from app.http.problems import add_problem_handlers
from app.http.request_log import log_left, note_jobs
from app.http.requests import CompareRequest, JobRequest, bounded
from app.http.unread_body import ReadOn
from app.job import Execution, Job, JobResult, Timing
from app.keys import KnowsCallers
from app.settings import Settings
from app.status import ReadPool

DESCRIPTION = """Fibonacci jobs, computed in parallel on a Ray cluster: a CPU-bound service on Ray Serve.

Post a job; the answer says the sizes of its sequences and where the time went. Fields are only ever added: ignore
those that you do not know. Integers have neither point nor exponent. Every error is `application/problem+json`
(RFC 9457). A client needs a time-out over the job's deadline: the default of some is exactly 300 s."""

RETRY_SOON = {"Retry-After": "1"}
JOB_ERRORS = (400, 408, 413, 415, 422, 429, 500, 503, 504)


class Api(FastAPI):
    """A FastAPI with what every answer passes.

    Not by ``add_middleware``: the answer to an unexpected error does not pass what that adds.
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
    """The API over one dispatcher; ``read_pool`` asks the whole service. With ``keys``, only for who has one."""
    app = Api(
        settings.body_timeout_seconds,
        title="Fibonacci service",
        version=__version__,
        description=DESCRIPTION,
        responses=problem_docs(500),
        docs_url=None,  # FastAPI's own pages load their assets from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to where the Host header says
    )
    add_problem_handlers(app)
    add_problem_model(app)
    add_problem_pages(app)
    add_docs_page(app)
    app.include_router(_job_routes(dispatcher, settings))
    app.include_router(_status_routes(dispatcher, read_pool))
    if keys is not None:
        require_keys(app, keys)
    return app


def _job_routes(dispatcher: Dispatcher, settings: Settings) -> APIRouter:
    router = APIRouter(route_class=json_route(settings.body_timeout_seconds), tags=["jobs"])
    BoundedJobRequest = bounded(JobRequest, settings)  # noqa: N806 (a class)
    BoundedCompareRequest = bounded(CompareRequest, settings)  # noqa: N806 (a class)

    def new_job(body: CompareRequest, execution: Execution, caller: str) -> Job:
        default = min(max(1, dispatcher.num_workers), settings.max_num_sequences)
        num_sequences = body.num_sequences or default
        return Job(uuid.uuid4().hex, body.sequence_size, num_sequences, execution, caller)

    async def run(http: Request, request: CompareRequest, *jobs: Job) -> list[JobResult]:
        note_jobs(http, *jobs)
        try:
            return await dispatcher.run(*jobs, timeout_seconds=request.timeout_seconds)
        except asyncio.CancelledError:
            log_left(http)
            raise

    @router.post(
        "/fibonacci",
        summary="Run a job",
        operation_id="run_job",
        response_model=JobResponse,
        responses=problem_docs(*JOB_ERRORS),
    )
    async def run_job(body: BoundedJobRequest, http: Request) -> Response:  # type: ignore[valid-type]
        """Generates the sequences, checks the end of every segment, and says where the time went."""
        request: JobRequest = body
        job = new_job(request, request.execution, caller_of(http))
        (result,) = await run(http, request, job)
        return _json(JobResponse.of(result), result.timing)

    @router.post(
        "/fibonacci/compare",
        summary="Run a job locally, then distributed, and compare",
        operation_id="compare",
        response_model=CompareResponse,
        responses=problem_docs(*JOB_ERRORS),
    )
    async def compare(body: BoundedCompareRequest, http: Request) -> Response:  # type: ignore[valid-type]
        """Both runs are really made, one after the other, under one deadline and one admission."""
        request: CompareRequest = body
        jobs = [new_job(request, how, caller_of(http)) for how in (Execution.LOCAL, Execution.DISTRIBUTED)]
        local, distributed = await run(http, request, *jobs)
        answer = CompareResponse.of(local, distributed, max(1, dispatcher.num_workers))
        return _json(answer, local.timing, distributed.timing)

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
        """200 while at least one worker is alive and has answered, and new jobs are taken."""
        if dispatcher.leaving or dispatcher.draining:
            raise DrainingError
        workers = (await read_pool()).workers
        replied = sum(worker.replied for worker in workers)
        if not replied:
            raise HTTPException(503, f"None of {len(workers)} workers replied.", RETRY_SOON)
        return Health(status="ok", checked=f"{replied} of {len(workers)} workers replied")

    return router


def _json(model: JobResponse | CompareResponse, *timings: Timing) -> Response:
    """The model as JSON, with the timings' sums in Server-Timing (milliseconds)."""
    queue = sum(timing.queued_seconds for timing in timings)
    compute = sum(timing.compute_seconds for timing in timings)
    total = sum(timing.total_seconds for timing in timings)
    parts = (("queue", queue), ("compute", compute), ("total", total))
    server_timing = ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in parts)
    return Response(
        model.model_dump_json(),
        media_type="application/json",
        headers={"Server-Timing": server_timing},
    )

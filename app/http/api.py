"""The HTTP API: ``create_app`` returns a FastAPI over a dispatcher. It knows nothing of Ray."""

import asyncio
import os
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from opentelemetry.trace import TracerProvider
from starlette.types import ASGIApp

from app import __version__
from app.dispatch.dispatcher import Dispatcher
from app.durable.service import DurableJobs
from app.errors import DrainingError
from app.http.answers import Health, PoolResponse
from app.http.authentication import caller_of, require_keys
from app.http.body import Otherwise, json_route
from app.http.docs import add_docs_page
from app.http.durable_docs import post_description, post_parameters, post_responses
from app.http.headers import SecurityHeaders
from app.http.jobs_api import JobsApi
from app.http.no_jobs import NoJobs
from app.http.offered import Offered
from app.http.page import add_page
from app.http.preferences import wants_job
from app.http.problem_docs import POST_ERRORS, add_problem_model, problem_docs
from app.http.problem_pages import add_problem_pages
from app.http.problems import add_problem_handlers
from app.http.request_log import log_left, note_jobs
from app.http.telemetry import telemetry_of
from app.http.timeline_api import TimelineApi
from app.http.unread_body import ReadOn
from app.job import Execution, Job, JobResult, Timing
from app.kernel import offers_of
from app.keys import KnowsCallers
from app.observe.sight import OwnSight, Sight
from app.observe.timeline import Timeline
from app.settings import Settings
from app.status import ReadPool

DESCRIPTION = """Fibonacci jobs, computed in parallel on a Ray cluster: a CPU-bound service on Ray Serve.

Post a job; the answer says what was computed and where the time went. Fields are only ever added: ignore those that you
do not know. Integers are written without a decimal point or an exponent. Every error is `application/problem+json`
(RFC 9457). A client needs a timeout longer than the job's deadline; some have one of exactly 300 s by default."""

RETRY_SOON = {"Retry-After": "1"}
STATUS_TAGS: list[str | Enum] = ["status"]
IDS_AT_ONCE = 256
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
    dispatcher: Dispatcher,
    settings: Settings,
    read_pool: ReadPool,
    keys: KnowsCallers | None = None,
    *,
    durable: DurableJobs | None = None,
    sight: Sight | None = None,
    traces: TracerProvider | None = None,
) -> FastAPI:
    """The API over one dispatcher; ``read_pool`` asks the whole service. With ``keys``, callers need one of them.

    Without ``durable``, the routes of durable jobs say that there are none. ``sight`` is what the page shows; without
    it, what the dispatcher does now. ``traces`` is where the requests' spans go.
    """
    app = Api(
        settings.body_timeout_seconds,
        title="Fibonacci service",
        version=__version__,
        description=DESCRIPTION,
        responses=problem_docs(500),
        docs_url=None,  # FastAPI's own pages load their files from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to wherever the Host header says
        telemetry=telemetry_of(traces),
    )
    add_problem_handlers(app)
    add_problem_model(app)
    # In the order of how often they are asked for, since each is tried in turn; on the application itself, because
    # routers that are included match every path twice.
    offered = [Offered.of(offer, settings) for offer in offers_of(settings)]
    jobs_api = JobsApi(NoJobs() if durable is None else durable, dispatcher, offered, job_ids())
    for each in offered:
        _add_job_routes(app, dispatcher, each, settings, jobs_api)
    jobs_api.add_routes(app)
    _add_status_routes(app, dispatcher, read_pool)
    add_problem_pages(app)
    add_docs_page(app)
    sight = sight or OwnSight(Timeline(), dispatcher, read_pool)
    TimelineApi(sight, {each.kernel.name: each.kernel.unit for each in offered}).add_routes(app)
    add_page(app)
    if keys is not None:
        require_keys(app, keys)
    return app


def _add_job_routes(
    app: FastAPI, dispatcher: Dispatcher, offered: Offered, settings: Settings, jobs_api: JobsApi
) -> None:
    """A kernel's two routes."""
    kernel, requests, answers = offered.kernel, offered.requests, offered.answers
    ids = job_ids()
    JobRequest, CompareRequest = requests.job, requests.compare  # noqa: N806 (classes)
    suffix = f"_{kernel.name.replace('-', '_')}" if kernel.prefix else ""

    def new_job(body: Any, execution: Execution, http: Request) -> Job:
        task = kernel.task(offered.offer.limits, body, max(1, dispatcher.num_workers))
        return Job(next(ids), task, execution, caller_of(http), http.headers.get("x-request-id", ""), body)

    async def run(http: Request, body: Any, *jobs: Job) -> list[JobResult]:
        note_jobs(http, *jobs)
        try:
            return await dispatcher.run(*jobs, timeout_seconds=body.timeout_seconds)
        except asyncio.CancelledError:
            log_left(http)
            raise

    async def encoded(answer: Callable[[], bytes]) -> bytes:
        return await asyncio.to_thread(answer) if kernel.large_answers else answer()

    async def run_job(body: JobRequest, http: Request) -> Response:  # type: ignore[valid-type]
        request: Any = body
        job = new_job(request, request.execution, http)
        (result,) = await run(http, request, job)
        return _json(await encoded(lambda: answers.of(result)), result.timing)

    async def compare(body: CompareRequest, http: Request) -> Response:  # type: ignore[valid-type]
        """Both runs are really made, one after the other, under one deadline and one admission."""
        request: Any = body
        jobs = [new_job(request, how, http) for how in (Execution.LOCAL, Execution.DISTRIBUTED)]
        local, distributed = await run(http, request, *jobs)
        pool_workers = max(1, dispatcher.num_workers)
        content = await encoded(lambda: answers.compare(local, distributed, pool_workers))
        return _json(content, local.timing, distributed.timing)

    async def post_job(body: Any, http: Request) -> Response:
        return await jobs_api.post(kernel.name, body, http)

    add_route = partial(app.router.add_api_route, methods=["POST"], tags=["jobs"])
    add_route(
        f"/{kernel.name}",
        run_job,
        summary="Run a job",
        description=post_description(kernel.summary, settings),
        operation_id=f"run_job{suffix}",
        response_model=answers.job | jobs_api.models.jobs[kernel.name],
        responses=post_responses(offered, jobs_api.models)
        | problem_docs(*JOB_ERRORS, field=requests.first_field, errors=POST_ERRORS),
        openapi_extra=post_parameters(),
        route_class_override=json_route(
            settings.body_timeout_seconds, Otherwise(wants_job, requests.durable, post_job)
        ),
    )
    add_route(
        f"/{kernel.name}/compare",
        compare,
        summary="Run a job locally, then distributed, and compare",
        operation_id=f"compare{suffix}",
        response_model=answers.comparison,
        responses=problem_docs(*JOB_ERRORS, field=requests.first_field),
        route_class_override=json_route(settings.body_timeout_seconds),
    )


def _add_status_routes(app: FastAPI, dispatcher: Dispatcher, read_pool: ReadPool) -> None:
    @app.head("/pool", include_in_schema=False)
    @app.get("/pool", tags=STATUS_TAGS, summary="The workers and the queue", operation_id="read_pool")
    async def pool() -> PoolResponse:
        """Of the whole service, whichever ingress replica answers; at most a second old."""
        return PoolResponse.of(await read_pool())

    @app.head("/livez", include_in_schema=False)
    @app.get("/livez", tags=STATUS_TAGS, summary="Does the process answer?", operation_id="livez")
    async def livez() -> Health:
        return Health(status="ok", checked="this process answers")

    @app.head("/readyz", include_in_schema=False)
    @app.get(
        "/readyz",
        tags=STATUS_TAGS,
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


def job_ids() -> Iterator[str]:
    """Random ids of 128 bits. They are drawn many at once: a system call for each took 6 % of the ingress's time."""
    while True:
        drawn = os.urandom(16 * IDS_AT_ONCE).hex()
        yield from (drawn[i : i + 32] for i in range(0, len(drawn), 32))


def _json(content: bytes, *timings: Timing) -> Response:
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

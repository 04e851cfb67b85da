"""The routes of durable jobs: posted by a kernel's own route with ``Prefer: respond-async``, they are at ``/jobs``."""

import re
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response

from app.dispatch.dispatcher import Dispatcher
from app.durable.records import JobView, State
from app.durable.service import DurableJobs
from app.errors import DrainingError, NoSuchJobError
from app.http import durable_docs as docs
from app.http.authentication import caller_of
from app.http.body import MAX_BODY_BYTES
from app.http.durable_answers import CURSOR, DurableAnswers, job_json, number_of, path_of, progress_headers, tagged
from app.http.durable_models import DurableModels
from app.http.durable_requests import new_job
from app.http.events import EventStream, Streams
from app.http.following import Following
from app.http.offered import Offered
from app.http.places import Places
from app.http.preferences import MAX_GET_WAIT_SECONDS, MAX_POST_WAIT_SECONDS, Preferences, preferences_of
from app.http.problem_docs import DURABLE_ERRORS, problem_docs
from app.http.request_log import note_jobs

TAGS: list[str | Enum] = ["durable jobs"]
PATH = {"parameters": [docs.PATH_PARAMETER]}
JOB_ID = re.compile("[0-9a-f]{32}")
DEFAULT_PAGE, MAX_PAGE = 20, 100
MAX_WAITS, MAX_CALLER_WAITS = 500, 100
"""Requests that wait for a job, in one ingress; with API keys of one caller. More are answered at once."""


class JobsApi:
    """What is needed to post durable jobs and to find them again."""

    def __init__(
        self, durable: DurableJobs, dispatcher: Dispatcher, offered: list[Offered], job_ids: Iterator[str]
    ) -> None:
        self._durable = durable
        self._dispatcher = dispatcher
        self._offered = offered
        self._job_ids = job_ids
        self.models = DurableModels(offered)
        self._answers = DurableAnswers(offered)
        self._following = Following(durable, lambda: dispatcher.draining or dispatcher.leaving)
        self._waits = Places(MAX_WAITS, MAX_CALLER_WAITS)
        self._streams = Streams(durable, self._answers, self._following)

    async def post(self, kernel: str, body: Any, http: Request) -> Response:
        """Accept a job, and wait for it as long as its caller prefers. If the caller leaves, the job goes on."""
        preferences = preferences_of(http, MAX_POST_WAIT_SECONDS)
        new = new_job(http, kernel, body, next(self._job_ids), max(1, self._dispatcher.num_workers))
        note_jobs(http, new)
        if self._dispatcher.draining:
            raise DrainingError
        view = (await self._durable.submit(new)).view
        view, preferences = await self._waited(view, preferences, caller_of(http))
        root_path = _root_path(http)
        headers = {"Location": path_of(view, root_path), "Preference-Applied": preferences.applied}
        content = await self._answers.job(view, root_path)
        return job_json(content, headers | progress_headers(view), 200 if view.record.state.done else 202)

    async def read(self, http: Request) -> Response:
        """The job as it is now, or, if that is preferred, as soon as it is done."""
        _refuse_body(http)
        caller = caller_of(http)
        view = await self._durable.get(_job_id(http), caller)
        view, preferences = await self._waited(view, preferences_of(http, MAX_GET_WAIT_SECONDS), caller)
        wait_seconds = preferences.wait_seconds
        headers = {} if wait_seconds is None else {"Preference-Applied": f"wait={wait_seconds}"}
        return tagged(await self._answers.job(view, _root_path(http)), headers | progress_headers(view), http)

    async def _waited(self, view: JobView, preferences: Preferences, caller: str) -> tuple[JobView, Preferences]:
        """The job after as long a wait as is preferred, and what was honoured of the preferences."""
        if not preferences.wait_seconds or view.record.state.done:
            return view, preferences
        if self._waits.all_taken or self._waits.has_all(caller):
            return view, replace(preferences, wait_seconds=None)
        with self._waits.place(caller):
            view = await self._following.until_done(view, preferences.wait_seconds)
        if not view.record.state.done:
            view = await self._durable.get(view.record.job_id, caller)  # its place in the queue may be another by now
        return view, preferences

    async def page(self, states: list[State], limit: int, cursor: str | None, http: Request) -> Response:
        """Some of the caller's jobs."""
        _refuse_body(http)
        states = list(dict.fromkeys(states))
        page = await self._durable.page(caller_of(http), states, number_of(cursor), limit)
        return Response(self._answers.page(page, _root_path(http)), media_type="application/json")

    async def cancel(self, http: Request) -> Response:
        """The job, which is over now."""
        _refuse_body(http)
        view = await self._durable.cancel(_job_id(http), caller_of(http))
        content = await self._answers.job(view, _root_path(http))
        return Response(content, media_type="application/json")

    async def delete(self, http: Request) -> Response:
        """Nothing: the job is forgotten."""
        _refuse_body(http)
        await self._durable.delete(_job_id(http), caller_of(http))
        return Response(status_code=204)

    def events(self, http: Request) -> Response:
        """The job's events."""
        _refuse_body(http)
        return EventStream(self._streams, _job_id(http), http)

    def add_routes(self, app: FastAPI) -> None:
        """Those at ``/jobs``."""
        problems = partial(problem_docs, errors=DURABLE_ERRORS)

        @app.head("/jobs/{job_id}", include_in_schema=False)
        @app.get(
            "/jobs/{job_id}",
            tags=TAGS,
            summary="A durable job",
            operation_id="read_job",
            response_model=self.models.any_job,
            responses=docs.job_responses(self._offered) | problems(404, 413, 503),
            openapi_extra=docs.job_parameters(),
        )
        async def read_job(http: Request) -> Response:
            """As it is now, or, with `Prefer: wait=N`, as soon as it is done."""
            return await self.read(http)

        @app.head("/jobs", include_in_schema=False)
        @app.get(
            "/jobs",
            tags=TAGS,
            summary="Your durable jobs",
            operation_id="list_jobs",
            response_model=self.models.page,
            responses=problems(413, 422, 503, field="limit", place="query"),
        )
        async def list_jobs(
            http: Request,
            state: Annotated[list[State], Query(description="Only those in one of these states.")] = [],  # noqa: B006 (FastAPI copies it)
            limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many at most.")] = DEFAULT_PAGE,
            cursor: Annotated[
                str | None, Query(pattern=CURSOR, description="The `next_cursor` of the page before.")
            ] = None,
        ) -> Response:
            """Newest first; with API keys only those of your key."""
            return await self.page(state, limit, cursor, http)

        @app.post(
            "/jobs/{job_id}/cancel",
            tags=TAGS,
            summary="Cancel a durable job",
            operation_id="cancel_job",
            response_model=self.models.any_job,
            responses=docs.cancel_responses(self._offered) | problems(404, 413, 503),
            openapi_extra=PATH,
        )
        async def cancel_job(http: Request) -> Response:
            """It stops at once. A job that was over stays as it was, so it may be repeated."""
            return await self.cancel(http)

        @app.delete(
            "/jobs/{job_id}",
            tags=TAGS,
            summary="Forget a durable job",
            operation_id="delete_job",
            status_code=204,
            response_class=Response,
            responses=problems(404, 413, 503),
            openapi_extra=PATH,
        )
        async def delete_job(http: Request) -> Response:
            """Cancelled first, if it is not over."""
            return await self.delete(http)

        @app.head("/jobs/{job_id}/events", include_in_schema=False)
        @app.get(
            "/jobs/{job_id}/events",
            tags=TAGS,
            summary="A durable job's events",
            operation_id="read_job_events",
            response_class=Response,
            responses=docs.event_responses(self.models) | problems(404, 413, 429, 503),
            openapi_extra=docs.event_parameters(),
        )
        async def read_job_events(http: Request) -> Response:
            """Server-sent events. The stream ends when the job is done, and after 30 s at the latest: then open it
            again, as browsers do by themselves."""
            return self.events(http)


def _job_id(http: Request) -> str:
    """That in the path. Raises ``NoSuchJobError`` if it can be nobody's: the keeper need not be asked.

    Not a parameter of the routes: FastAPI would document that it can be invalid.
    """
    job_id: str = http.path_params["job_id"]
    if JOB_ID.fullmatch(job_id) is None:
        raise NoSuchJobError
    return job_id


def _refuse_body(http: Request) -> None:
    """Raise HTTPException, 413, if a body is on its way that is long, or may be.

    It would be kept in memory while the request waits: Serve reads on, whatever comes.
    """
    declared = http.headers.get("content-length", "0")
    if "transfer-encoding" in http.headers or not declared.isdecimal() or int(declared[:20]) > MAX_BODY_BYTES:
        raise HTTPException(413, "This request takes no body.")


def _root_path(http: Request) -> str:
    root_path: str = http.scope.get("root_path", "")
    return root_path

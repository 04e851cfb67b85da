"""The kinds of problems that have a page of their own, and those pages."""

import html
from dataclasses import dataclass

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse


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
        "Ask for less. The answer carries the predicted cost and the limit: the setting max_compute_seconds, or "
        "max_job_core_seconds for a job posted with Prefer: respond-async, which may cost more.",
    ),
    "queue-full": ProblemType(
        429,
        "Queue full",
        "The work ahead of the job is predicted to take longer than the service lets a new job wait (setting "
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
        "Post the job again after the seconds in Retry-After. If it goes on, look at GET /pool and at the nodes.",
    ),
    "draining": ProblemType(
        503,
        "Shutting down",
        "The service is shutting down: it finishes the jobs that it has and accepts no new ones.",
        "Post the job again after the seconds in Retry-After, or to another instance.",
    ),
    "deadline": ProblemType(
        504,
        "Deadline exceeded",
        "The job was not finished within its timeout_seconds; computing has stopped.",
        "Give it more time, up to the service's maximum, or make it smaller. A job posted with Prefer: "
        "respond-async may take much longer.",
    ),
    "jobs-unavailable": ProblemType(
        503,
        "Durable jobs unavailable",
        "Durable jobs, those posted with Prefer: respond-async, cannot be accepted, read or changed now; the detail "
        "says why. Those that were accepted are safe. Other jobs are unaffected.",
        "Send the request again after the seconds in Retry-After. A job posted with an Idempotency-Key may be posted "
        "again: it is accepted once. If it goes on, look at durable in GET /pool.",
    ),
    "no-such-job": ProblemType(
        404,
        "No such job",
        "There is no durable job of yours with this id: there never was one, it was deleted, it has expired (settings "
        "result_ttl_seconds and max_finished_jobs), or it is somebody else's.",
        "Look at GET /jobs, which lists yours. A job that is gone can be posted again.",
    ),
    "idempotency-key-reused": ProblemType(
        422,
        "Idempotency-Key reused",
        "You have posted another job with the same Idempotency-Key, and it is still kept: a key stands for one job.",
        "Use a new key for each new job, and the same one only to post the same job again.",
    ),
    "gave-up": ProblemType(
        500,
        "Gave up",
        "Several times in a row the service went on with the durable job and stopped again before it got any further. "
        "It is the error of such a job, never of a request.",
        "The job itself may be what stops the service. Tell the operator its id, and do not post it again as it is.",
    ),
}


def add_problem_pages(app: FastAPI) -> None:
    """Serve a page for each, and a list of them. Their links are relative, so they work under any route prefix."""

    @app.head("/problems", include_in_schema=False)
    @app.get("/problems", include_in_schema=False)
    async def problem_list() -> HTMLResponse:
        items = (
            f'<li><a href="problems/{name}">{html.escape(_heading(kind))}</a></li>'
            for name, kind in PROBLEM_TYPES.items()
        )
        return _page(
            "Problems", f'<ul>{"".join(items)}</ul><p>Everything else is in the <a href="docs">documentation</a>.</p>'
        )

    @app.head("/problems/{name}", include_in_schema=False)
    @app.get("/problems/{name}", include_in_schema=False)
    async def problem_page(name: str) -> HTMLResponse:
        if (kind := PROBLEM_TYPES.get(name)) is None:
            raise HTTPException(404)
        return _page(
            _heading(kind),
            f"<p>{html.escape(kind.meaning)}</p><h2>What to do</h2><p>{html.escape(kind.what_to_do)}</p>"
            '<p><a href="../problems">All problems</a></p>',
        )


def _heading(kind: ProblemType) -> str:
    return f"{kind.status} {kind.title}"


def _page(title: str, body: str) -> HTMLResponse:
    title = html.escape(title)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}</html>'
    )

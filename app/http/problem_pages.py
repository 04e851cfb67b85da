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
        "Ask for less. The answer carries the predicted cost and the limit (setting max_compute_seconds).",
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
        "Give it more time, up to the service's maximum, or make it smaller.",
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

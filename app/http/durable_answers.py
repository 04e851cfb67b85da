"""Durable jobs as JSON, and the headers that go with them. Nothing here asks the keeper."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from pydantic_core import from_json, to_json

from app.durable.outcome import error_of, result_of
from app.durable.records import JobView, Page, Record, State
from app.durable.tasks import task_of
from app.errors import JobsUnavailableError
from app.http.offered import Offered
from app.http.problems import job_problem, under_prefix
from app.kernel import KernelError

CURSOR = "^[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]$"
"""The base64url of eight bytes, as a number that is not negative."""
RETRY_SECONDS = 1
MAX_RETRY_SECONDS = 60
UNREADABLE_RETRY_SECONDS = 60
"""An operator has to offer the kernel again."""


class DurableAnswers:
    """Writes durable jobs, whatever kernel they are of."""

    def __init__(self, offered: Sequence[Offered]) -> None:
        self._offers = [each.offer for each in offered]
        self._offered = {each.kernel.name: each for each in offered}

    async def job(self, view: JobView, root_path: str) -> bytes:
        """The whole job. Raises ``JobsUnavailableError`` if it has a result that cannot be read any more."""
        offered = self._offered.get(view.record.kernel)
        if view.record.result is not None and offered is not None and offered.kernel.large_answers:
            return await asyncio.to_thread(self._job, view, root_path)
        return self._job(view, root_path)

    def page(self, page: Page, root_path: str) -> bytes:
        """The jobs of a page, without their results."""
        jobs = [self._fields(view, root_path) for view in page.views]
        return to_json({"jobs": jobs, "next_cursor": _cursor_of(page.next_number)})

    def _job(self, view: JobView, root_path: str) -> bytes:
        return to_json(self._fields(view, root_path, {"result": self._result(view.record)}))

    def _fields(self, view: JobView, root_path: str, result: dict[str, Any] | None = None) -> dict[str, Any]:
        record, path = view.record, path_of(view, root_path)
        return {
            "job_id": record.job_id,
            "kernel": record.kernel,
            "state": record.state,
            "done": record.state.done,
            "request": from_json(record.request),
            "created_at": _time(record.created_at),
            "started_at": _time(record.started_at),
            "finished_at": _time(record.finished_at),
            "expires_at": _time(record.expires_at),
            "deadline_at": _time(record.deadline_at),
            "queue_position": view.queue_position,
            "progress": self._progress(record),
            "estimated_finish_at": _time(view.estimated_finish_at),
            "resumed": record.resumed,
            **(result or {}),
            "error": _error(record, root_path),
            "links": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        }

    def _progress(self, record: Record) -> dict[str, Any]:
        offered = self._offered.get(record.kernel)
        unit = "units" if offered is None else offered.kernel.unit
        succeeded = float(record.state is State.SUCCEEDED)
        return {
            "fraction": record.units_done / record.total_units if record.total_units else succeeded,
            unit: record.units_done,
            f"total_{unit}": record.total_units,
            "core_seconds": record.core_seconds,
            "predicted_core_seconds": record.predicted_core_seconds,
            "checkpoint_at": _time(record.checkpoint_at),
        }

    def _result(self, record: Record) -> dict[str, Any] | None:
        if record.result is None:
            return None
        try:
            task = task_of(record, self._offers)
        except KernelError as error:
            raise JobsUnavailableError(f"The result cannot be read: {error}.", UNREADABLE_RETRY_SECONDS) from None
        return self._offered[record.kernel].answers.fields_of(result_of(record.result, record.job_id, task))


def path_of(view: JobView, root_path: str) -> str:
    """The job's own path. Never a whole address: it would have to believe the Host header."""
    return f"{root_path}/jobs/{view.record.job_id}"


def progress_headers(view: JobView) -> dict[str, str]:
    """When to look again: a second later, or, if it is known when the job will be finished, then."""
    if view.record.state.done:
        return {}
    if view.estimated_finish_at is None:
        return {"Retry-After": str(RETRY_SECONDS)}
    seconds = -(-(view.estimated_finish_at - round(time.time() * 1000)) // 1000)
    return {"Retry-After": str(min(max(seconds, RETRY_SECONDS), MAX_RETRY_SECONDS))}


def job_json(content: bytes, headers: dict[str, str], status_code: int = 200) -> Response:
    """An answer that depends on the request's preference, too."""
    return Response(content, status_code, {"Vary": "Prefer", **headers}, media_type="application/json")


def tagged(content: bytes, headers: dict[str, str], request: Request) -> Response:
    """The answer with its ETag, or 304 if the caller has it.

    The tag is strong, and over all that is told, so also over the place in the queue and the estimate, which change
    without being committed.
    """
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    known = ",".join(request.headers.getlist("if-none-match"))
    if known.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=304, headers={"Vary": "Prefer", "ETag": tag, **headers})
    return job_json(content, {"ETag": tag, **headers})


def number_of(cursor: str | None) -> int | None:
    """The number that a page's cursor stands for: any text of the pattern stands for one."""
    return None if cursor is None else int.from_bytes(base64.urlsafe_b64decode(cursor + "="))


def _cursor_of(number: int | None) -> str | None:
    return None if number is None else base64.urlsafe_b64encode(number.to_bytes(8)).decode().rstrip("=")


def _time(milliseconds: int | None) -> str | None:
    """RFC 3339, to the millisecond."""
    if milliseconds is None:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _error(record: Record, root_path: str) -> dict[str, Any] | None:
    """A problem, without a time to try again: the job will not."""
    if record.error is None:
        return None
    problem = under_prefix(job_problem(error_of(record.error))[0], root_path)
    return problem.model_dump(exclude_none=True, exclude={"retry_after_seconds"})

"""How a durable job's result or error is written down, and read again."""

import json
from dataclasses import asdict
from typing import Any

from app.errors import ComputationError, DeadlineError, GaveUpError, JobError, NoWorkerError, TooCostlyError
from app.job import Job, JobResult, Timing
from app.kernel import Part, Task

ERRORS: dict[str, type[JobError]] = {
    error.__name__: error for error in (ComputationError, DeadlineError, GaveUpError, NoWorkerError, TooCostlyError)
}
"""What a durable job can end in."""


def result_text(result: JobResult) -> str:
    """A result as JSON, without what follows from the task, and without its batches."""
    return json.dumps(
        {
            "found": result.part.found,
            "num_segments": result.num_segments,
            "num_recomputed": result.num_recomputed,
            "timing": asdict(result.timing),
        }
    )


def result_of(text: str, job_id: str, task: Task) -> JobResult:
    """The result that ``result_text`` has written: every unit of every line was counted, or it would not be there."""
    stored: dict[str, Any] = json.loads(text)
    return JobResult(
        job=Job(job_id, task),
        counts=[task.length] * task.num_lines,
        part=Part(stored["found"]),
        num_segments=stored["num_segments"],
        num_recomputed=stored["num_recomputed"],
        timing=Timing(**stored["timing"]),
        batches=[],
    )


def error_text(error: JobError) -> str:
    """An error as JSON: its kind, and what it says of itself."""
    kind = type(error) if type(error) in ERRORS.values() else ComputationError
    return json.dumps({"error": kind.__name__, "arguments": list(error.args)})


def error_of(text: str) -> JobError:
    """The error that ``error_text`` has written."""
    stored: dict[str, Any] = json.loads(text)
    return ERRORS.get(stored["error"], ComputationError)(*stored["arguments"])

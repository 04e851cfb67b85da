"""What a job's line says, and that a caller cannot put words into it."""

import asyncio
import json
from typing import Any

import pytest

from app.errors import ComputationError, DeadlineError, NoWorkerError, QueueFullError
from app.observe.job_line import FORMS, JSON, TEXT, line_of
from app.observer import EndedJob
from tests.ended_jobs import asked, ended_in, record, succeeded

ANSWERED = {
    "time": "now", "fibonacci_job": "1" * 32, "request_id": "req-1", "caller": "alice", "kernel": "fibonacci",
    "execution": "distributed", "durable": False, "outcome": "succeeded", "predicted_seconds": 1.5,
    "total_seconds": 2.0, "queued_seconds": 0.5, "compute_seconds": 1.25, "num_workers": 2, "num_batches": 2,
    "num_recomputed": 1, "max_attempts": 3,
}  # fmt: skip


def told(ended: EndedJob, *, durable: bool = False) -> dict[str, Any]:
    """What its line says, as JSON."""
    line = line_of(ended, "now", JSON, durable=durable)
    assert line.endswith("}\n")
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_an_answered_job_is_told_with_its_cost_and_times() -> None:
    assert told(succeeded(record("w1"), record("w2", attempts=3))) == ANSWERED


@pytest.mark.parametrize(
    ("error", "outcome", "name"),
    [
        (QueueFullError("full", 1), "refused", "queue-full"),
        (asyncio.CancelledError(), "cancelled", "cancelled"),
        (DeadlineError(1), "deadline", "deadline"),
        (NoWorkerError(30), "lost", "no-worker"),
        (ComputationError("failed on 3 workers"), "failed", "computation"),
    ],
)
def test_one_that_came_to_nothing_is_told_with_why(error: BaseException, outcome: str, name: str) -> None:
    fields = told(ended_in(error), durable=True)
    assert (fields["outcome"], fields["error"], fields["durable"]) == (outcome, name, True)
    assert not {"queued_seconds", "num_workers", "max_attempts"} & set(fields)


def test_the_text_is_names_and_values() -> None:
    said = line_of(ended_in(DeadlineError(1)), "now", TEXT, durable=False)
    assert said == (
        f"time=now fibonacci_job={'1' * 32} request_id=req-1 caller=alice kernel=fibonacci execution=distributed "
        "durable=false outcome=deadline predicted_seconds=1.500000 total_seconds=2.000000 error=deadline\n"
    )


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_what_was_asked_is_told(form: str) -> None:
    assert "sequence" not in line_of(succeeded(record()), "now", FORMS[form], durable=False)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("", '""'),
        ("a outcome=failed", '"a outcome=failed"'),
        ('"', '"\\""'),
        ("a=b", '"a=b"'),
        ("a\nERROR", '"a\\nERROR"'),
        ("100%s", "100%s"),
    ],
)
def test_whatever_a_caller_sends_is_one_value(said: str, written: str) -> None:
    ended = succeeded(record(), job=asked(request_id=said))
    assert f" request_id={written} caller=" in line_of(ended, "now", TEXT, durable=False)
    assert told(ended)["request_id"] == said

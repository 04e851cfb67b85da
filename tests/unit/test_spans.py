"""The spans of a job: under its request's, where in time they are, and what each says."""

import asyncio

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from app.errors import NoWorkerError, TooCostlyError
from app.job import BatchRecord
from app.observe.spans import MAX_BATCHES, Spans, computing
from app.observer import EndedJob
from tests.ended_jobs import ACCEPTED_AT, asked, ended_in, record, succeeded

NOW_NS = 1_700_000_000_000_000_000
ZERO_NS = NOW_NS - 3_000_000_000
"""When the job was accepted: 3 s before the spans are made."""


def told(provider: TracerProvider, *jobs: EndedJob) -> list[ReadableSpan]:
    """What is exported of these jobs, whose request has a span."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    spans = Spans(tracer, clock=lambda: ACCEPTED_AT + 3, wall_clock_ns=lambda: NOW_NS)
    with tracer.start_as_current_span("request"):
        for job in jobs:
            spans.job_ended(job)
    return list(exporter.get_finished_spans())


def spans_of(*jobs: EndedJob) -> dict[str, list[ReadableSpan]]:
    """By name."""
    found: dict[str, list[ReadableSpan]] = {}
    for span in told(TracerProvider(), *jobs):
        found.setdefault(span.name, []).append(span)
    return found


def seconds(span: ReadableSpan) -> tuple[float, float]:
    """When it began and ended, since the job's acceptance."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.start_time - ZERO_NS) / 1e9, (span.end_time - ZERO_NS) / 1e9


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def test_a_job_is_under_its_request_and_its_batches_under_it() -> None:
    spans = spans_of(succeeded(record("w1"), record("w2", sent=1.0, back=2.0, attempts=2)))
    (request,), (job,), (queue,) = spans["request"], spans["job fibonacci"], spans["queue"]
    batches, computes = spans["batch"], spans["compute"]
    assert parent_of(job) == id_of(request)
    assert {parent_of(span) for span in (queue, *batches)} == {id_of(job)}
    assert [parent_of(span) for span in computes] == [id_of(span) for span in batches]


def test_each_is_where_it_was_in_time() -> None:
    spans = spans_of(succeeded(record(sent=0.5, back=1.5)))
    assert seconds(spans["job fibonacci"][0]) == (0, 2)
    assert seconds(spans["queue"][0]) == (0, 0.5)
    assert seconds(spans["batch"][0]) == (0.5, 1.5)
    assert seconds(spans["compute"][0]) == pytest.approx((0.75, 1.35))  # 0.15 s there, 0.1 s waiting, 0.15 s back


@pytest.mark.parametrize(("queued", "compute"), [(0.0, 5.0), (5.0, 0.1), (0.5, 0.5), (0.0, 0.0)])
def test_whatever_a_workers_clock_says_its_computing_is_within_the_batch(queued: float, compute: float) -> None:
    began, ended = computing(BatchRecord("w1", "node", 1, 1, 2.0, 3.0, queued, compute))
    assert 2.0 <= began <= ended <= 3.0


def test_a_batch_says_who_computed_it_and_how_many_had_it() -> None:
    (batch,) = spans_of(succeeded(record("w2", attempts=2)))["batch"]
    assert batch.attributes == {
        "fibonacci.worker": "w2", "fibonacci.node": "node", "fibonacci.num_units": 10, "fibonacci.attempts": 2,
    }  # fmt: skip


def test_a_job_says_what_became_of_it() -> None:
    (job,) = spans_of(succeeded(record()))["job fibonacci"]
    assert job.status.status_code is StatusCode.UNSET
    assert job.attributes == {
        "fibonacci.job": "1" * 32, "fibonacci.kernel": "fibonacci", "fibonacci.execution": "distributed",
        "fibonacci.outcome": "succeeded", "fibonacci.predicted_seconds": 1.5, "fibonacci.caller": "alice",
        "fibonacci.request_id": "req-1", "fibonacci.num_batches": 1, "fibonacci.num_workers": 2,
        "fibonacci.num_recomputed": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "outcome", "name"),
    [
        (TooCostlyError(1, 2), "refused", "too-costly"),
        (NoWorkerError(30), "lost", "no-worker"),
        (asyncio.CancelledError(), "cancelled", "cancelled"),
    ],
)
def test_one_that_came_to_nothing_is_an_error(error: BaseException, outcome: str, name: str) -> None:
    spans = spans_of(ended_in(error, job=asked("", "")))
    (job,) = spans["job fibonacci"]
    assert (job.status.status_code, job.status.description) == (StatusCode.ERROR, outcome)
    assert job.attributes is not None
    assert (job.attributes["fibonacci.outcome"], job.attributes["error.type"]) == (outcome, name)
    assert "fibonacci.caller" not in job.attributes
    assert set(spans) == {"request", "job fibonacci"}


def test_of_a_large_job_only_the_first_batches_are_told() -> None:
    records = [record(str(number)) for number in range(MAX_BATCHES + 1)]
    spans = spans_of(succeeded(*records))
    assert [(span.attributes or {})["fibonacci.worker"] for span in spans["batch"]] == list(map(str, range(128)))
    assert (spans["job fibonacci"][0].attributes or {})["fibonacci.num_batches"] == 129


def test_a_batch_that_did_not_count_is_not_told() -> None:
    assert "batch" not in spans_of(succeeded(record(sent=0, back=0)))


def test_two_jobs_of_one_request_have_a_span_each() -> None:
    spans = spans_of(succeeded(record()), succeeded(record()))
    assert [parent_of(job) for job in spans["job fibonacci"]] == [id_of(spans["request"][0])] * 2


def test_a_request_that_is_not_sampled_has_none() -> None:
    assert told(TracerProvider(sampler=ALWAYS_OFF), succeeded(record())) == []


def test_without_a_request_there_are_none() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Spans(provider.get_tracer("test")).job_ended(succeeded(record()))
    assert exporter.get_finished_spans() == ()

"""A request's span, and what is under it; which requests have none."""

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.dispatch.dispatcher import Dispatcher
from app.http.api import create_app
from app.observe.spans import Spans
from app.settings import Settings
from app.status import WorkerStatus
from tests.http.client import compute_batch, pool_of

pytestmark = pytest.mark.anyio
JOB = {"sequence_size": 10, "num_sequences": 1}
TRACE, PARENT = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
TRACEPARENT = f"00-{TRACE:032x}-{PARENT:016x}-01"


class Traced(httpx.AsyncClient):
    """A client of a service whose spans stay here."""

    def __init__(self, *, on: bool = True) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        settings = Settings(max_compute_seconds=0.5)
        dispatcher = Dispatcher(compute_batch, settings, observer=Spans(provider.get_tracer("test")))
        dispatcher.set_workers(["worker-1"])
        read_pool = pool_of(WorkerStatus("worker-1", "node"))
        app = create_app(dispatcher, settings, read_pool, traces=provider if on else None)
        super().__init__(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://service")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """By name."""
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def traced() -> Traced:
    return Traced()


async def test_a_job_is_a_part_of_its_callers_trace(traced: Traced) -> None:
    await traced.post("/fibonacci", json=JOB, headers={"traceparent": TRACEPARENT})
    request = traced.spans["POST /fibonacci"]
    assert request.kind is SpanKind.SERVER
    assert request.parent is not None
    assert (request.parent.trace_id, request.parent.span_id) == (TRACE, PARENT)
    assert set(traced.spans) == {"POST /fibonacci", "job fibonacci", "queue", "batch", "compute"}
    assert {span.context.trace_id for span in traced.spans.values() if span.context} == {TRACE}
    job = traced.spans["job fibonacci"]
    assert request.start_time is not None
    assert request.end_time is not None
    assert request.start_time <= (job.start_time or 0) <= (job.end_time or 0) <= request.end_time


async def test_a_request_says_how_it_was_answered(traced: Traced) -> None:
    await traced.post("/fibonacci", json=JOB)
    attributes = traced.spans["POST /fibonacci"].attributes or {}
    assert (attributes["http.route"], attributes["http.response.status_code"]) == ("/fibonacci", 200)
    assert "authorization" not in str(attributes).lower()


async def test_a_refused_job_has_its_span(traced: Traced) -> None:
    await traced.post("/fibonacci", json={"sequence_size": 10_000_000})
    job = traced.spans["job fibonacci"]
    assert (job.status.status_code, (job.attributes or {})["error.type"]) == (StatusCode.ERROR, "too-costly")


async def test_an_invalid_request_has_a_span_without_a_job(traced: Traced) -> None:
    await traced.post("/fibonacci", json={"sequence_size": -1})
    assert set(traced.spans) == {"POST /fibonacci"}
    assert (traced.spans["POST /fibonacci"].attributes or {})["http.response.status_code"] == 422


async def test_a_trace_that_its_caller_does_not_sample_is_not_told(traced: Traced) -> None:
    await traced.post("/fibonacci", json=JOB, headers={"traceparent": TRACEPARENT.replace("-01", "-00")})
    assert traced.spans == {}


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_have_none(traced: Traced, path: str) -> None:
    await traced.get(path)
    assert traced.spans == {}


async def test_without_a_place_for_them_there_are_none() -> None:
    client = Traced(on=False)
    answer = await client.post("/fibonacci", json=JOB, headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 200
    assert client.spans == {}

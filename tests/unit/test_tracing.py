"""Whether there are traces, and where they go."""

import asyncio
import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments.tracing import flush, provider_from

HERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SERVICE_NAME": "mine", "OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": HERE},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_unless_somebody_wants_them_there_are_none(environ: dict[str, str]) -> None:
    assert provider_from(environ) is None


def test_another_protocol_is_refused_and_told(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    caplog.set_level(logging.WARNING, "ray.serve")  # the launcher raises it, in this process too
    assert provider_from(environ) is None
    assert "no traces" in caplog.text


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
@pytest.mark.parametrize(("variables", "service"), [({}, "fibonacci"), ({"OTEL_SERVICE_NAME": "mine"}, "mine")])
def test_they_are_named_as_the_environment_says(
    name: str, variables: dict[str, str], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger("ray.serve"), "handlers", [handler])
    for variable, value in ({name: HERE} | variables).items():
        monkeypatch.setenv(variable, value)
    provider = provider_from({name: HERE} | variables)
    assert provider is not None
    assert provider.resource.attributes["service.name"] == service
    assert handler in logging.getLogger("opentelemetry").handlers
    logging.getLogger("opentelemetry").removeHandler(handler)
    provider.shutdown()


def test_what_is_left_is_sent_at_the_end() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("last").end()
    asyncio.run(flush(provider))
    assert [span.name for span in exporter.get_finished_spans()] == ["last"]

"""Traces to where the usual ``OTEL_*`` variables say, over OTLP and HTTP; without them there are none."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app import __version__

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
FLUSH_SECONDS = 3.0
"""How long a receiver may hold up the end of the process."""

logger = logging.getLogger("ray.serve")


def provider_from(environ: Mapping[str, str]) -> TracerProvider | None:
    """What the process's traces go through; None if nobody wants any.

    The receiver, its headers, the sampler and the rest are read from the environment by OpenTelemetry itself.
    """
    if not any(map(environ.get, ENDPOINTS)) or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    protocol = next(filter(None, map(environ.get, PROTOCOLS)), PROTOCOL)
    if protocol != PROTOCOL:
        logger.warning("no traces: they are sent by %s only, and the environment wants %s", PROTOCOL, protocol)
        return None
    usual = {"service.name": "fibonacci", "service.version": __version__, "service.instance.id": str(uuid4())}
    provider = TracerProvider(resource=Resource.create(usual).merge(OTELResourceDetector().detect()))
    try:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:  # one of its variables is wrong
        logger.warning("no traces: %s", error)
        return None
    for handler in logger.handlers:  # OpenTelemetry's own loggers have none, and say that a receiver cannot be reached
        logging.getLogger("opentelemetry").addHandler(handler)
    return provider


async def flush(provider: TracerProvider) -> None:
    """Send what has not been sent, if the receiver takes it soon."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_SECONDS):
            await asyncio.to_thread(provider.force_flush, round(1000 * FLUSH_SECONDS))

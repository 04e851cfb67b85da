"""Which requests have a span, if there are traces: FastAPI makes it, and takes the caller's ``traceparent``."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import TracerProvider

UNTRACED = ("/livez/", "/readyz/", "/page/", "/timeline/")
"""Probes, and what an open page asks for all the time."""


def telemetry_of(provider: TracerProvider | None) -> TelemetryConfig:
    """FastAPI's options. Without a provider all is off: otherwise it would look for one at each request."""
    config = TelemetryConfig(
        tracing=provider is not None,
        metrics=False,
        logs=False,
        operation_spans=False,
        auto_configure=False,
        exclude=_is_untraced,
    )
    if provider is not None:
        config["tracer_provider"] = provider
    return config


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    path: str = scope["path"]
    return f"{path.removeprefix(scope.get('root_path', ''))}/".startswith(UNTRACED)

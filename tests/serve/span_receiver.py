"""A receiver of traces on this machine: what a collector is to the service."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


@dataclass
class Received:
    """What has come so far."""

    url: str
    resources: list[ResourceSpans] = field(default_factory=list)

    def trace(self, trace_id: bytes) -> list[Span]:
        """The spans of one trace, in order of their begin."""
        spans = [span for each in list(self.resources) for scope in each.scope_spans for span in scope.spans]
        return sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.start_time_unix_nano)


def attributes_of(span: Span | Any) -> dict[str, Any]:
    """By name."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


@contextmanager
def receiver() -> Iterator[Received]:
    """It listens while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                received.resources.extend(ExportTraceServiceRequest.FromString(body).resource_spans)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Received(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Spans of the real service, as a receiver gets them; its jobs' lines are JSON, and its workers get lost."""

import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from harness.config import Config, changed_config
from harness.processes import wait_until, workers
from harness.service import Service, launched
from tests.serve.job_lines import line_of
from tests.serve.span_receiver import Received, attributes_of, receiver

TINY = {"sequence_size": 10, "num_sequences": 1}
SECONDS = {"sequence_size": 100_000, "num_sequences": 200}
RECEIVED_SECONDS = 10


def patient_for_a_second(config: Config) -> None:
    """Jobs that no worker can be found for are lost soon; lines are JSON."""
    config["applications"][0]["args"].update(worker_wait_seconds=1, job_log="json")


@dataclass
class Traced:
    """A service that sends its spans, and where they come."""

    service: Service
    received: Received

    def post(
        self, body: dict[str, int], path: str = "/fibonacci", **headers: str
    ) -> tuple[httpx.Response, bytes, bytes]:
        """The answer, and what was sent as the ids of the trace and of the span that asks."""
        trace, parent = secrets.token_bytes(16), secrets.token_bytes(8)
        headers["traceparent"] = f"00-{trace.hex()}-{parent.hex()}-01"
        return httpx.post(self.service.url + path, json=body, headers=headers, timeout=60), trace, parent

    def spans(self, trace: bytes) -> list[Span]:
        """Of this trace, once the request's has come."""
        wait_until(
            lambda: any(span.kind == Span.SPAN_KIND_SERVER for span in self.received.trace(trace)),
            RECEIVED_SECONDS,
            "the request's span is received",
        )
        return self.received.trace(trace)


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    with receiver() as received, changed_config(patient_for_a_second) as path:
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": received.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with launched("--cpus", "2", "--config", str(path), environment=environment) as service:
            yield Traced(service, received)


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def test_a_job_is_a_part_of_its_callers_trace(traced: Traced) -> None:
    answer, trace, parent = traced.post(TINY)
    job_id = answer.raise_for_status().json()["job_id"]
    spans = traced.spans(trace)
    (request,) = named(spans, "POST /fibonacci")
    assert request.parent_span_id == parent
    (job,), (queue,), (batch,), (compute,) = (
        named(spans, name) for name in ("job fibonacci", "queue", "batch", "compute")
    )
    assert (job.parent_span_id, queue.parent_span_id, batch.parent_span_id, compute.parent_span_id) == (
        request.span_id, job.span_id, job.span_id, batch.span_id,
    )  # fmt: skip
    assert attributes_of(job)["fibonacci.job"] == job_id
    assert attributes_of(job)["fibonacci.request_id"] == answer.headers["x-request-id"]
    (told,) = answer.json()["batches"]
    assert attributes_of(batch)["fibonacci.worker"] == told["worker_id"]
    for span in spans:
        assert request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano


def test_they_come_from_the_service(traced: Traced) -> None:
    traced.spans(traced.post(TINY)[1])
    resource = attributes_of(traced.received.resources[0].resource)
    assert resource["service.name"] == "fibonacci"
    assert resource["service.instance.id"]


def test_a_killed_workers_batch_shows_its_second_attempt(traced: Traced) -> None:
    results: list[tuple[httpx.Response, bytes, bytes]] = []
    caller = threading.Thread(target=lambda: results.append(traced.post(SECONDS)))
    caller.start()
    wait_until(lambda: unfinished(traced.service) == 1, 10, "the job runs")
    workers(traced.service.process.pid)[0].kill()
    caller.join()
    answer, trace, _ = results[0]
    assert answer.raise_for_status().json()["sizes"] == [100_000] * 200
    batches = named(traced.spans(trace), "batch")
    assert max(attributes_of(batch)["fibonacci.attempts"] for batch in batches) == 2
    assert line_of(traced.service, answer.json()["job_id"])["max_attempts"] == 2


def unfinished(service: Service) -> int:
    count: int = httpx.get(f"{service.url}/pool").json()["unfinished_jobs"]
    return count


def test_a_durable_job_is_traced_until_it_is_accepted(traced: Traced) -> None:
    answer, trace, _ = traced.post(TINY, prefer="respond-async")
    assert answer.status_code == 202
    assert [span.name for span in traced.spans(trace)] == ["POST /fibonacci"]


def test_a_lost_job_leaves_a_line_of_json_and_an_error(traced: Traced) -> None:
    for _ in range(5):  # one that was killed before may be replaced just now, in time for the job
        for process in workers(traced.service.process.pid):
            process.kill()
        answer, trace, _ = traced.post(TINY)
        if answer.status_code == 503:
            break
    assert answer.status_code == 503
    line = line_of(traced.service, answer.headers["x-request-id"])
    assert (line["outcome"], line["error"], line["durable"]) == ("lost", "no-worker", False)
    (job,) = named(traced.spans(trace), "job fibonacci")
    assert attributes_of(job)["error.type"] == "no-worker"

"""The OpenAPI document against what the service does: schemathesis with all its checks, the same requests each time."""

from collections.abc import Iterator
from typing import Any

from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events

from app.http.authentication import SCHEME
from app.settings import Settings
from tests.tasks import fibonacci_with

SETTINGS = Settings(
    kernels=fibonacci_with(max_sequence_size=1_000, max_num_sequences=20),
    max_timeout_seconds=30,
    max_job_timeout_seconds=30,
)
"""With these no job that the document allows is too costly, and durable jobs have no longer deadline than others, which
no document can say."""


def config(max_examples: int, key: str | None = None) -> SchemathesisConfig:
    """All checks; of the server errors only 504 is an answer: to a deadline that the caller made too short."""
    auth = {} if key is None else {"auth": {"openapi": {SCHEME: {"bearer": key}}}}
    return SchemathesisConfig.from_dict(
        auth
        | {
            "generation": {"deterministic": True, "max-examples": max_examples, "database": "none"},
            "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "504"]}},
            "continue-on-failure": True,
        }
    )


class Examination:
    """What schemathesis did with the service and what it found."""

    def __init__(self, schema: Any) -> None:
        self.num_requests = 0
        self.checks: set[str] = set()
        self.statuses: set[int] = set()
        """Of all answers."""
        self.findings = sorted(self._findings(schema))

    def _findings(self, schema: Any) -> Iterator[str]:
        for event in engine.from_schema(schema).execute():
            if isinstance(event, events.NonFatalError | events.FatalError):
                yield repr(event)
            elif isinstance(event, events.ScenarioFinished):
                yield from self._failures(event)

    def _failures(self, event: events.ScenarioFinished) -> Iterator[str]:
        answers = (interaction.response for interaction in event.recorder.interactions.values())
        self.statuses |= {answer.status_code for answer in answers if answer is not None}
        for case_id, checks in event.recorder.checks.items():
            self.num_requests += 1
            case = event.recorder.cases[case_id].value
            for check in checks:
                self.checks.add(check.name)
                info = check.failure_info
                if info is not None and not (check.name == "positive_data_acceptance" and _is_excepted(case)):
                    yield f"{check.name}: {info.failure.title}: {info.failure.message}\n{info.code_sample}"


def _is_excepted(case: Any) -> bool:
    """Whether the request may be refused although it is as the document says: it cannot say all that is so."""
    return _has_point(case.body) or _may_not_be_durable(case)


def _may_not_be_durable(case: Any) -> bool:
    """Whether a durable job is to run locally, or has a key, which may be malformed or another job's.

    Both are allowed without ``Prefer: respond-async``, and the document cannot make what it says of a body or of a
    header depend on another header.
    """
    headers = case.headers or {}
    if "respond-async" not in headers.get("Prefer", ""):
        return False
    local = isinstance(case.body, dict) and case.body.get("execution") == "local"
    return local or "Idempotency-Key" in headers


def _has_point(body: Any) -> bool:
    """Whether an integer is written as 7.0: to JSON Schema that is one, and it cannot say that here it is none."""
    names = ("sequence_size", "num_sequences")
    return isinstance(body, dict) and any(isinstance(body.get(name), float) for name in names)

"""The OpenAPI document against what the service does: schemathesis with all its checks, the same requests each time."""

from collections.abc import Iterator
from typing import Any

from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events

from app.http.authentication import SCHEME
from app.settings import Settings
from tests.tasks import fibonacci_with

SETTINGS = Settings(kernels=fibonacci_with(max_sequence_size=1_000, max_num_sequences=20), max_timeout_seconds=30)
"""With these no job that the document allows is too costly."""


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
            body = event.recorder.cases[case_id].value.body
            for check in checks:
                self.checks.add(check.name)
                info = check.failure_info
                if info is not None and not (check.name == "positive_data_acceptance" and _has_point(body)):
                    yield f"{check.name}: {info.failure.title}: {info.failure.message}\n{info.code_sample}"


def _has_point(body: Any) -> bool:
    """Whether an integer is written as 7.0: to JSON Schema that is one, and it cannot say that here it is none."""
    names = ("sequence_size", "num_sequences")
    return isinstance(body, dict) and any(isinstance(body.get(name), float) for name in names)

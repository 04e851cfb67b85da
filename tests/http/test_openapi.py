"""The OpenAPI document: it says what the API does, and it changes only on purpose."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from app import __version__
from app.dispatch.dispatcher import Dispatcher
from app.http import answers, requests
from app.http.api import create_app
from app.http.job_answers import JobAnswers, TimingModel
from app.http.problem_pages import PROBLEM_TYPES
from app.kernel import offers_of
from app.kernels.fibonacci.models import LastTermModel
from app.settings import Settings
from tests.http.client import Client, compute_batch, pool_of
from tests.tasks import fibonacci_with

SNAPSHOT = Path(__file__).with_name("openapi.json")
DEFAULTS = Settings()
RENEW = "python -m tests.http.test_openapi > tests/http/openapi.json"

(OFFER,) = offers_of(DEFAULTS)
OF_JOBS: dict[str, Any] = {
    model.__name__: model
    for models in (requests.JobRequests(OFFER, DEFAULTS), JobAnswers(OFFER.kernel))
    for model in vars(models).values()
    if isinstance(model, type)
} | {model.__name__: model for model in (LastTermModel, TimingModel)}
"""The models of the Fibonacci kernel's routes, by their names."""

STATUS: dict[str, Any] = {
    "Health": answers.Health,
    "PoolResponse": answers.PoolResponse,
    "WorkerModel": answers.WorkerModel,
}

JOB_STATUSES = {"200", "400", "408", "413", "415", "422", "429", "500", "503", "504"}


@functools.cache
def document() -> dict[str, Any]:
    """The document of a service with default settings."""
    return document_of(DEFAULTS)


def document_of(settings: Settings) -> dict[str, Any]:
    return create_app(Dispatcher(compute_batch, settings), settings, pool_of()).openapi()


def snapshot() -> str:
    """The document as text, without what depends on the release or on the Python version."""
    neutral = document() | {"info": document()["info"] | {"version": "any"}}
    text = json.dumps(neutral, indent=1, sort_keys=True) + "\n"
    # http.HTTPStatus took over the phrases of RFC 9110 in Python 3.13.
    text = text.replace("Request Entity Too Large", "Content Too Large")
    return text.replace("Unprocessable Entity", "Unprocessable Content")


def operation(path: str) -> dict[str, Any]:
    """The one operation of a path."""
    (only,) = document()["paths"][path].values()
    return dict(only)


def properties(model: str, settings: Settings = DEFAULTS) -> dict[str, Any]:
    """The documented properties of a model."""
    found = document() if settings is DEFAULTS else document_of(settings)
    return dict(found["components"]["schemas"][model]["properties"])


def test_the_document_is_the_one_in_the_snapshot() -> None:
    assert snapshot() == SNAPSHOT.read_text(), f"if the change is wanted: {RENEW}"


def test_the_version_is_the_packages() -> None:
    assert document()["info"]["version"] == __version__


def test_every_operation_has_an_id_and_a_summary() -> None:
    operations = [only for methods in document()["paths"].values() for only in methods.values()]
    assert {only["operationId"] for only in operations} == {"run_job", "compare", "read_pool", "livez", "readyz"}
    assert all(only["summary"] for only in operations)


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/fibonacci", JOB_STATUSES),
        ("/fibonacci/compare", JOB_STATUSES),
        ("/pool", {"200", "500"}),
        ("/livez", {"200", "500"}),
        ("/readyz", {"200", "500", "503"}),
    ],
)
def test_every_status_is_documented(path: str, statuses: set[str]) -> None:
    assert set(operation(path)["responses"]) == statuses


STATUS_PATHS = ["/pool", "/livez", "/readyz"]


@pytest.mark.parametrize("path", ["/fibonacci", "/fibonacci/compare", *STATUS_PATHS])
def test_every_error_is_documented_as_problem_json(path: str) -> None:
    for status, response in operation(path)["responses"].items():
        assert status == "200" or list(response["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("status", ["429", "503"])
def test_retry_after_is_documented(status: str) -> None:
    assert "Retry-After" in operation("/fibonacci")["responses"][status]["headers"]


@pytest.mark.parametrize("model", ["JobRequest", "CompareRequest"])
def test_the_limits_in_the_settings_are_in_the_document(model: str) -> None:
    settings = Settings(
        kernels=fibonacci_with(max_sequence_size=200_000, max_num_sequences=123), max_timeout_seconds=45
    )
    fields = properties(model, settings)
    size, count, timeout = fields["sequence_size"], fields["num_sequences"], fields["timeout_seconds"]
    assert (size["minimum"], size["maximum"], size["default"]) == (0, 200_000, 100_000)
    assert (count["anyOf"][0]["minimum"], count["anyOf"][0]["maximum"]) == (1, 123)
    assert (timeout["anyOf"][0]["exclusiveMinimum"], timeout["anyOf"][0]["maximum"]) == (0, 45)


@pytest.mark.parametrize("model", ["JobRequest", "CompareRequest"])
def test_unknown_fields_are_documented_as_refused(model: str) -> None:
    assert document()["components"]["schemas"][model]["additionalProperties"] is False


def test_only_the_job_has_an_execution() -> None:
    assert "execution" in properties("JobRequest")
    assert "execution" not in properties("CompareRequest")


def test_every_example_of_a_model_is_one_of_it() -> None:
    found = 0
    for name, schema in document()["components"]["schemas"].items():
        examples = schema.get("examples", []) + ([schema["example"]] if "example" in schema else [])
        for example in examples:
            model = OF_JOBS.get(name) or STATUS[name]
            assert set(example) <= set(model.model_validate(example).model_dump())
            found += 1
    assert found >= 3


@pytest.mark.parametrize("path", ["/fibonacci", "/fibonacci/compare", "/pool", "/livez", "/readyz"])
def test_every_error_has_an_example_that_is_a_problem_of_its_status(path: str) -> None:
    for status, response in operation(path)["responses"].items():
        if status != "200":
            examples = response["content"]["application/problem+json"]["examples"]
            problems = [requests.Problem.model_validate(example["value"]) for example in examples.values()]
            assert {str(problem.status) for problem in problems} == {status}


def test_every_problem_type_is_an_example_of_a_job() -> None:
    responses = operation("/fibonacci")["responses"]
    for name, kind in PROBLEM_TYPES.items():
        examples = responses[str(kind.status)]["content"]["application/problem+json"]["examples"]
        assert examples[name]["value"]["type"] == f"/problems/{name}"


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("too-costly", {"predicted_compute_seconds", "max_compute_seconds"}),
        ("queue-full", {"retry_after_seconds"}),
        ("caller-limit", {"retry_after_seconds"}),
        ("no-worker", {"retry_after_seconds"}),
        ("draining", {"retry_after_seconds"}),
    ],
)
def test_the_example_of_a_refusal_has_its_members(name: str, members: set[str]) -> None:
    response = operation("/fibonacci")["responses"][str(PROBLEM_TYPES[name].status)]
    assert members <= set(response["content"]["application/problem+json"]["examples"][name]["value"])


@pytest.mark.parametrize(
    "model", ["JobRequest", "CompareRequest", "JobResponse", "CompareResponse", "PoolResponse", "WorkerModel", "Health"]
)
def test_every_body_has_an_example(model: str) -> None:
    schema = document()["components"]["schemas"][model]
    assert "example" in schema or "examples" in schema


@pytest.mark.anyio
async def test_the_document_is_served() -> None:
    client = Client()
    assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")


@pytest.mark.anyio
async def test_an_answer_has_the_documented_members() -> None:
    answer = (await Client().post("/fibonacci", json={"sequence_size": 10})).json()
    assert set(answer) == set(properties("JobResponse"))
    assert set(answer["batches"][0]) == set(properties("BatchModel"))


if __name__ == "__main__":
    sys.stdout.write(snapshot())

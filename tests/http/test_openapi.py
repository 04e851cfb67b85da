"""The OpenAPI document: it says what the API does, and it changes only on purpose."""

import functools
import json
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from app import __version__
from app.dispatch.dispatcher import Dispatcher
from app.http import answers, requests
from app.http.api import create_app
from app.http.durable_models import DurableModels
from app.http.job_answers import TimingModel
from app.http.offered import Offered
from app.http.problem_pages import PROBLEM_TYPES
from app.kernel import offers_of
from app.kernels.fibonacci.models import LastTermModel
from app.settings import Settings
from tests.http.client import Client, compute_batch, pool_of
from tests.http.durable_jobs import MemoryJobs
from tests.tasks import fibonacci_with

SNAPSHOT = Path(__file__).with_name("openapi.json")
DEFAULTS = Settings()
RENEW = "python -m tests.http.test_openapi > tests/http/openapi.json"

(OFFER,) = offers_of(DEFAULTS)
OFFERED = Offered.of(OFFER, DEFAULTS)
DURABLE = DurableModels([OFFERED])
OF_JOBS: dict[str, Any] = {
    model.__name__: model
    for models in (OFFERED.requests, OFFERED.answers, DURABLE)
    for model in vars(models).values()
    if isinstance(model, type)
} | {model.__name__: model for model in (LastTermModel, TimingModel)}
"""The models of the Fibonacci kernel's routes, by their names."""

STATUS: dict[str, Any] = {
    "DurableModel": answers.DurableModel,
    "Health": answers.Health,
    "PoolResponse": answers.PoolResponse,
    "WorkerModel": answers.WorkerModel,
}

JOB_STATUSES = {"200", "400", "408", "413", "415", "422", "429", "500", "503", "504"}
JOB = "/jobs/{job_id}"
OPERATIONS = {
    "run_job": ("post", "/fibonacci"),
    "compare": ("post", "/fibonacci/compare"),
    "read_job": ("get", JOB),
    "list_jobs": ("get", "/jobs"),
    "cancel_job": ("post", f"{JOB}/cancel"),
    "delete_job": ("delete", JOB),
    "read_job_events": ("get", f"{JOB}/events"),
    "read_pool": ("get", "/pool"),
    "livez": ("get", "/livez"),
    "readyz": ("get", "/readyz"),
}
"""By their ids, which are names in the clients that are generated from the document: they stay."""
GOOD = ("200", "202", "204", "304")


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


def operation(name: str) -> dict[str, Any]:
    """The operation with this id, or the one of this path."""
    if name in OPERATIONS:
        method, path = OPERATIONS[name]
        return dict(document()["paths"][path][method])
    (only,) = document()["paths"][name].values()
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
    found = {
        only["operationId"]: (method, path)
        for path, methods in document()["paths"].items()
        for method, only in methods.items()
    }
    assert found == OPERATIONS
    assert all(operation(name)["summary"] for name in OPERATIONS)


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/fibonacci", JOB_STATUSES | {"202"}),
        ("/fibonacci/compare", JOB_STATUSES),
        ("read_job", {"200", "304", "404", "413", "500", "503"}),
        ("list_jobs", {"200", "413", "422", "500", "503"}),
        ("cancel_job", {"200", "404", "413", "500", "503"}),
        ("delete_job", {"204", "404", "413", "500", "503"}),
        ("read_job_events", {"200", "204", "404", "413", "429", "500", "503"}),
        ("/pool", {"200", "500"}),
        ("/livez", {"200", "500"}),
        ("/readyz", {"200", "500", "503"}),
    ],
)
def test_every_status_is_documented(path: str, statuses: set[str]) -> None:
    assert set(operation(path)["responses"]) == statuses


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_is_documented_as_problem_json(name: str) -> None:
    for status, response in operation(name)["responses"].items():
        assert status in GOOD or list(response["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("status", ["202", "429", "503"])
def test_retry_after_is_documented(status: str) -> None:
    assert "Retry-After" in operation("/fibonacci")["responses"][status]["headers"]


@pytest.mark.parametrize(("name", "status"), [("run_job", "202"), ("read_job", "200"), ("cancel_job", "200")])
def test_a_durable_job_links_to_all_that_can_be_done_with_it(name: str, status: str) -> None:
    links = operation(name)["responses"][status]["links"]
    assert set(links) == {"read_job", "cancel_job", "delete_job", "read_job_events"}
    for link in links.values():
        assert link["operationId"] in OPERATIONS
        assert set(link["parameters"]) == {each["name"] for each in operation("cancel_job")["parameters"]}


def test_every_header_that_is_read_is_documented() -> None:
    headers = {
        name: {each["name"] for each in operation(name).get("parameters", ()) if each["in"] == "header"}
        for name in OPERATIONS
    }
    assert {name: found for name, found in headers.items() if found} == {
        "run_job": {"Prefer", "Idempotency-Key"},
        "read_job": {"Prefer", "If-None-Match"},
        "read_job_events": {"Last-Event-ID"},
    }


def test_every_example_of_a_durable_job_is_one() -> None:
    found = 0
    for name in ("run_job", "read_job", "cancel_job"):
        for response in operation(name)["responses"].values():
            for example in response.get("content", {}).get("application/json", {}).get("examples", {}).values():
                job = _with_nulls(example["value"], OF_DURABLE)
                assert set(example["value"]) <= set(OF_DURABLE.model_validate(job).model_dump())
                found += 1
    assert found == 6


OF_DURABLE: Any = DURABLE.any_job
(SUMMARY,) = get_args(DURABLE.page.model_fields["jobs"].annotation)
OF_SUMMARIES: dict[str, Any] = {SUMMARY.__name__: SUMMARY}


def _with_nulls(example: dict[str, Any], model: Any) -> dict[str, Any]:
    """The example with the members that are null: FastAPI leaves them out of the document."""
    return dict.fromkeys(model.model_fields) | example


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
            model = OF_JOBS.get(name) or STATUS.get(name) or OF_SUMMARIES[name]
            whole = _with_nulls(example, model) if "Durable" in name else example
            assert set(example) <= set(model.model_validate(whole).model_dump())
            found += 1
    assert found >= 3


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_has_an_example_that_is_a_problem_of_its_status(name: str) -> None:
    for status, response in operation(name)["responses"].items():
        if status not in GOOD:
            examples = response["content"]["application/problem+json"]["examples"]
            problems = [requests.Problem.model_validate(example["value"]) for example in examples.values()]
            assert {str(problem.status) for problem in problems} == {status}


def test_every_problem_type_is_an_example_of_a_job() -> None:
    failed = operation("read_job")["responses"]["200"]["content"]["application/json"]["examples"]["failed"]["value"]
    assert failed["error"]["type"] == "/problems/gave-up"  # never of a request
    for name, kind in PROBLEM_TYPES.items():
        if name != "gave-up":
            responses = operation("read_job" if name == "no-such-job" else "run_job")["responses"]
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
        ("jobs-unavailable", {"retry_after_seconds"}),
    ],
)
def test_the_example_of_a_refusal_has_its_members(name: str, members: set[str]) -> None:
    response = operation("/fibonacci")["responses"][str(PROBLEM_TYPES[name].status)]
    assert members <= set(response["content"]["application/problem+json"]["examples"][name]["value"])


@pytest.mark.parametrize(
    "model",
    [
        "JobRequest", "CompareRequest", "JobResponse", "CompareResponse", "DurableJobResponse", "DurableJobSummary",
        "PoolResponse", "WorkerModel", "Health",
    ],
)  # fmt: skip
def test_every_body_has_an_example(model: str) -> None:
    schema = document()["components"]["schemas"][model]
    assert "example" in schema or "examples" in schema


def test_the_names_that_generated_clients_use_stay() -> None:
    """Those of the first document, before there were durable jobs: others may be added."""
    assert set(document()["components"]["schemas"]) > {
        "BatchModel", "CompareRequest", "CompareResponse", "ErrorItem", "Execution", "Health", "JobRequest",
        "JobResponse", "LastTermModel", "PoolResponse", "Problem", "TimingModel", "VerificationModel", "WorkerModel",
    }  # fmt: skip
    timeout = properties("JobRequest")["timeout_seconds"]["anyOf"][0]
    assert timeout == {"exclusiveMinimum": 0, "maximum": 300, "type": "number"}


@pytest.mark.anyio
async def test_a_durable_job_has_the_documented_members() -> None:
    durable = MemoryJobs()
    client = Client(durable=durable)
    job = (await client.post("/fibonacci", json={"sequence_size": 10}, headers={"Prefer": "respond-async"})).json()
    assert set(job) == set(properties("DurableJobResponse"))
    assert set(job["progress"]) == set(properties("ProgressModel"))
    page = (await client.get("/jobs")).json()
    assert set(page) == set(properties("DurableJobPage"))
    assert set(page["jobs"][0]) == set(properties("DurableJobSummary"))


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

"""What is logged of a request: one line for what is refused, fails or is left, none for what the answer explains."""

import asyncio
import logging
import uuid

import pytest

from app.job import Batch, BatchResult
from app.keys import parse_keys
from app.settings import Settings
from app.status import PoolStatus, WorkerStatus
from tests.http.client import Client, in_virtual_time, pool_of, until, wait_forever

pytestmark = pytest.mark.anyio
JOB = {"sequence_size": 10, "num_sequences": 1}
ID = {"x-request-id": "req-1"}


@pytest.fixture(autouse=True)
def all_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ray.serve")  # the launcher raises it, in this process too


async def lose(worker_id: str, batch: Batch) -> BatchResult:
    """A worker whose code raises."""
    raise RuntimeError("broken")


async def break_down() -> PoolStatus:
    """A bug."""
    raise RuntimeError("broken")


def only_line(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """The one of this request, which goes to Serve's file alone."""
    (record,) = [record for record in caplog.records if record.name == "ray.serve" and hasattr(record, "request_id")]
    assert (record.request_id, record.log_to_stderr) == ("req-1", False)  # type: ignore[attr-defined]
    return record


@in_virtual_time
@pytest.mark.parametrize(
    ("job", "settings", "draining", "said"),
    [
        ({"timeout_seconds": 1}, Settings(), False, "504 job ID: Deadline exceeded: Not finished within 1 s."),
        ({}, Settings(worker_wait_seconds=5), False, "503 job ID: No worker: No worker was alive for 5 s."),
        ({}, Settings(), True, "503 job ID: Shutting down: No new jobs are accepted."),
        ({}, Settings(max_compute_seconds=1e-9), False, "422 job ID: Job too costly: Predicted "),
    ],
)
async def test_a_job_that_comes_to_nothing_leaves_a_line(
    job: dict[str, float], settings: Settings, draining: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(settings, workers=[])
    client.dispatcher.draining = draining
    await client.post("/fibonacci", json=JOB | job, headers=ID)
    record = only_line(caplog)
    words = record.getMessage().split(" ")
    assert len(words[2]) == len(f"{uuid.uuid4().hex}:")
    assert record.levelno == (logging.ERROR if said.startswith("5") else logging.WARNING)
    assert " ".join([*words[:2], "ID:", *words[3:]]).startswith(said)


async def test_a_job_that_cannot_be_computed_leaves_a_line_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await Client(run_batch=lose).post("/fibonacci", json=JOB, headers=ID)
    record = only_line(caplog)
    assert (answer.status_code, record.levelno) == (500, logging.ERROR)
    assert record.exc_info is not None
    assert record.getMessage().endswith(": Internal Server Error: The job could not be computed.")


async def test_a_bug_leaves_a_line_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await Client(read_pool=break_down).get("/pool", headers=ID)
    record = only_line(caplog)
    assert record.exc_info is not None
    assert record.getMessage() == "500 Internal Server Error"


async def test_a_full_queue_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(Settings(max_queued_jobs=1), wait_forever)
    held = asyncio.create_task(client.post("/fibonacci", json=JOB))
    await until(lambda: client.dispatcher.num_unfinished_jobs == 1)
    await client.post("/fibonacci", json=JOB, headers=ID)
    assert ": Queue full: " in only_line(caplog).getMessage()
    held.cancel()
    await asyncio.wait([held])


async def test_no_key_leaves_a_line_that_says_what_came(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(keys=parse_keys(f"alice:{'0' * 64}", "test"))
    await client.get("/pool", headers=ID | {"authorization": "Basic c2VjcmV0"})
    assert only_line(caplog).getMessage().startswith("401 Unauthorized: An API key is needed")
    assert "c2VjcmV0" not in caplog.text


async def test_no_worker_for_readyz_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    silent = WorkerStatus("worker-1", "node", replied=False)
    await Client(read_pool=pool_of(silent)).get("/readyz", headers=ID)
    assert only_line(caplog).getMessage() == "503 Service Unavailable: None of 1 workers replied."


@pytest.mark.parametrize(("path", "num_jobs"), [("/fibonacci", 1), ("/fibonacci/compare", 2)])
async def test_a_caller_that_leaves_leaves_a_line(path: str, num_jobs: int, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(run_batch=wait_forever)
    leaving = asyncio.create_task(client.post(path, json=JOB, headers=ID))
    await until(lambda: client.dispatcher.num_unfinished_jobs > 0)
    leaving.cancel()
    await asyncio.wait([leaving])
    record = only_line(caplog)
    status, job, *ids, caller, left = record.getMessage().split(" ")
    assert (status, job, len(ids), caller, left) == ("499", "job", num_jobs, "Caller", "left")
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/nowhere", "", 404),
        ("GET", "/fibonacci", "", 405),
        ("POST", "/fibonacci", "{", 400),
        ("POST", "/fibonacci", '{"sequence_size": -1}', 422),
        ("POST", "/fibonacci", " " * 70_000, 413),
        ("POST", "/fibonacci", '{"sequence_size": 1}', 200),
    ],
)
async def test_what_the_answer_explains_leaves_none(
    method: str, path: str, content: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await Client().request(method, path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []

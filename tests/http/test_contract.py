"""What the OpenAPI document says is what the application does."""

import asyncio
import hashlib

import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from starlette.types import ASGIApp, Receive, Scope, Send

from app.dispatch.dispatcher import Dispatcher
from app.durable.records import JobView
from app.http.api import create_app
from app.keys import ApiKeys, parse_keys
from app.status import WorkerStatus
from tests.contract import SETTINGS, Examination, config
from tests.http.client import compute_batch, pool_of
from tests.http.durable_jobs import MemoryJobs

pytestmark = pytest.mark.timeout(300)  # some hundred applications are made

KEY = "fib_schemathesis-key_0123456789"
KEYS = parse_keys(f"schemathesis:{hashlib.sha256(KEY.encode()).hexdigest()}", "test")


class QuickJobs(MemoryJobs):
    """Jobs that are over when they are looked at: the stream of another would take 30 seconds."""

    def finish(self, job_id: str) -> None:
        if job_id in self.records and not self.records[job_id].state.done:
            self.succeed(job_id)

    async def get(self, job_id: str, caller: str) -> JobView:
        self.finish(job_id)
        return await super().get(job_id, caller)


def application(keys: ApiKeys | None) -> ASGIApp:
    """A service of its own for each request: schemathesis gives each an event loop of its own.

    They share durable jobs.
    """
    durable = QuickJobs(SETTINGS)
    durable.accepted = lambda job_id: asyncio.get_running_loop().call_later(0.01, durable.finish, job_id)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            dispatcher = Dispatcher(compute_batch, SETTINGS)
            dispatcher.set_workers(["worker-1", "worker-2"])
            app = create_app(dispatcher, SETTINGS, pool_of(WorkerStatus("worker-1", "node")), keys, durable=durable)
            await app(scope, receive, send)

    return answer


def examine(max_examples: int, keys: ApiKeys | None = None, key: str | None = None) -> Examination:
    """What schemathesis finds with this key at a service with these keys."""
    settings = config(max_examples, key)
    return Examination(schemathesis.openapi.from_asgi("/openapi.json", application(keys), config=settings))


def all_checks() -> set[str]:
    """Schemathesis' own list.

    Durable jobs are made and deleted, which ``use_after_free`` and ``ensure_resource_availability`` look at;
    ``ignored_auth`` has something to look at only where there are keys.
    """
    load_all_checks()
    return set(CHECKS.get_all_names())


def test_schemathesis_finds_nothing() -> None:
    examination = examine(15)
    assert examination.findings == []
    assert examination.num_requests > 300
    assert examination.checks == all_checks()
    assert {200, 202, 204, 404, 422} < examination.statuses


def test_schemathesis_finds_nothing_with_keys() -> None:
    examination = examine(5, KEYS, KEY)
    assert examination.findings == []
    assert examination.num_requests > 100
    assert examination.checks == all_checks()
    assert {200, 202, 204, 401, 422} < examination.statuses  # let in, and shut out when it leaves the key out

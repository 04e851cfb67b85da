"""What the OpenAPI document says is what the application does."""

import hashlib

import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from starlette.types import ASGIApp, Receive, Scope, Send

from app.dispatch.dispatcher import Dispatcher
from app.http.api import create_app
from app.keys import ApiKeys, parse_keys
from app.status import WorkerStatus
from tests.contract import SETTINGS, Examination, config
from tests.http.client import compute_batch, pool_of

KEY = "fib_schemathesis-key_0123456789"
KEYS = parse_keys(f"schemathesis:{hashlib.sha256(KEY.encode()).hexdigest()}", "test")


def application(keys: ApiKeys | None) -> ASGIApp:
    """A service of its own for each request: schemathesis gives each an event loop of its own."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            dispatcher = Dispatcher(compute_batch, SETTINGS)
            dispatcher.set_workers(["worker-1", "worker-2"])
            app = create_app(dispatcher, SETTINGS, pool_of(WorkerStatus("worker-1", "node")), keys)
            await app(scope, receive, send)

    return answer


def examine(keys: ApiKeys | None = None, key: str | None = None) -> Examination:
    """What schemathesis finds with this key at a service with these keys."""
    return Examination(schemathesis.openapi.from_asgi("/openapi.json", application(keys), config=config(20, key)))


def all_checks() -> set[str]:
    """Schemathesis' own list.

    Of these, ``use_after_free``, ``ensure_resource_availability`` and ``object_level_authorization`` run and have
    nothing to look at: no route makes or deletes anything. ``ignored_auth`` has something only where there are keys.
    """
    load_all_checks()
    return set(CHECKS.get_all_names())


def test_schemathesis_finds_nothing() -> None:
    examination = examine()
    assert examination.findings == []
    assert examination.num_requests > 150
    assert examination.checks == all_checks()


def test_schemathesis_finds_nothing_with_keys() -> None:
    examination = examine(KEYS, KEY)
    assert examination.findings == []
    assert examination.num_requests > 150
    assert examination.checks == all_checks()
    assert {200, 401, 422} < examination.statuses  # let in, and shut out when it leaves the key out

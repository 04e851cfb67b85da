"""What the OpenAPI document says is what the application does."""

import schemathesis
from starlette.types import Receive, Scope, Send

from app.api import create_app
from app.dispatcher import Dispatcher
from app.status import WorkerStatus
from tests.contract import SETTINGS, Examination, config
from tests.http.client import compute_batch, pool_of


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """A service of its own for each request: schemathesis gives each an event loop of its own."""
    if scope["type"] == "http":
        dispatcher = Dispatcher(compute_batch, SETTINGS)
        dispatcher.set_workers(["worker-1", "worker-2"])
        await create_app(dispatcher, SETTINGS, pool_of(WorkerStatus("worker-1", "node")))(scope, receive, send)


def test_schemathesis_finds_nothing() -> None:
    examination = Examination(schemathesis.openapi.from_asgi("/openapi.json", application, config=config(20)))
    assert examination.findings == []
    assert examination.num_requests > 150
    assert {"not_a_server_error", "negative_data_rejection", "positive_data_acceptance"} < examination.checks

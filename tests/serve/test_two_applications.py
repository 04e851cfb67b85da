"""Another application in the same file: neither takes the CPU that the other needs."""

from collections.abc import Iterator

import httpx
import pytest

from chaos.stage import Config, changed_config
from deployments.launched import Service, launched
from tests.serve.processes import wait_until

HELLO = {"name": "hello", "route_prefix": "/hello", "import_path": "tests.serve.hello:app"}


@pytest.fixture(params=[0, 1], ids=["before ours", "after ours"])
def beside_another(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Two CPUs for an application that wants one and a pool that would take all."""

    def change(config: Config) -> None:
        config["applications"].insert(request.param, dict(HELLO))

    with changed_config(change) as path, launched("--cpus", "2", "--config", str(path), "--grace-seconds", "1") as made:
        yield made


def test_both_have_a_cpu_and_no_replica_stays_pending(beside_another: Service) -> None:
    with httpx.Client(base_url=beside_another.url, timeout=30) as client:
        wait_until(lambda: client.get("/hello").text == "hello", 30, "the other application answers")
        wait_until(lambda: len(client.get("/pool").json()["workers"]) == 1, 10, "the pool has one worker")
        assert client.post("/fibonacci", json={"sequence_size": 1_000}).json()["sizes"] == [1_000]
        assert client.get("/hello").text == "hello"

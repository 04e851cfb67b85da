"""Two ingress replicas: each with a queue of its own, one pool, one picture of it."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from deployments.launched import Service, launched
from tests.serve import bounds
from tests.serve.callers import LONG_JOB, running, third_slowest_short_job_seconds
from tests.serve.processes import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    (ingress,) = [d for d in config["applications"][0]["deployments"] if d["name"] == "FibonacciIngress"]
    ingress["num_replicas"] = 2
    path = tmp_path_factory.mktemp("twins") / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    with launched("--cpus", "2", "--config", str(path)) as service:
        wait_until(lambda: pool_of(service)["ingress_replicas"] == 2, 30, "both replicas answer")
        yield service


def pool_of(service: Service) -> dict[str, int]:
    pool: dict[str, int] = httpx.get(f"{service.url}/pool").raise_for_status().json()
    return pool


def test_whichever_answers_tells_of_the_whole_service(twins: Service) -> None:
    with running(twins, LONG_JOB):
        time.sleep(bounds.POOL_AGE)
        assert [pool_of(twins)["unfinished_jobs"] for _ in range(8)] == [1] * 8  # a connection each: both answer


def test_short_jobs_on_either_do_not_wait_behind_the_long_one(twins: Service) -> None:
    with running(twins, LONG_JOB), httpx.Client(base_url=twins.url) as client:
        assert third_slowest_short_job_seconds(client) < bounds.SHORT_JOB_BEHIND_LONG

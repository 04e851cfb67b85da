"""Two ingress replicas: each with a queue of its own, one pool, one picture of it."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from chaos.registry import twins
from chaos.stage import Stage
from harness import bounds
from harness.callers import LONG_JOB
from harness.config import Config
from harness.processes import alive, descendants, wait_until
from tests.serve.callers import assert_short_jobs_are_short, running

JOB = {"sequence_size": 100_000, "num_sequences": 100}


def renamed(config: Config) -> None:
    """The application gets another name: nothing may hang on it."""
    config["applications"][0]["name"] = "another"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with twins(renamed) as started:
        yield started


def test_whichever_answers_tells_of_the_whole_service(stage: Stage) -> None:
    with running(stage.service, LONG_JOB):
        time.sleep(bounds.POOL_AGE)
        assert [stage.pool()["unfinished_jobs"] for _ in range(8)] == [1] * 8  # a connection each: both answer


def test_short_jobs_on_either_do_not_wait_behind_the_long_one(stage: Stage) -> None:
    with running(stage.service, LONG_JOB), httpx.Client(base_url=stage.url) as client:
        assert_short_jobs_are_short(client)


def test_jobs_in_flight_on_both_are_answered_before_the_launcher_ends(stage: Stage) -> None:
    """The last one here: it ends the service."""
    everything = descendants(stage.pid)
    with ThreadPoolExecutor(4) as callers:
        posted = [callers.submit(httpx.post, f"{stage.url}/fibonacci", json=JOB, timeout=60) for _ in range(4)]
        wait_until(lambda: stage.pool()["unfinished_jobs"] == 4, 10, "the jobs run")
        assert stage.service.stop(signal.SIGTERM) == 0
        assert [answer.result().status_code for answer in posted] == [200] * 4
    assert "waiting for 4 jobs" in "".join(stage.service.output)
    assert not alive(everything)

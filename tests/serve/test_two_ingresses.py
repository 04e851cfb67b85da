"""Two ingress replicas: each with a queue of its own, one pool, one picture of it."""

import time
from collections.abc import Iterator

import httpx
import pytest

from chaos.registry import twins
from chaos.stage import Stage
from tests.serve import bounds
from tests.serve.callers import LONG_JOB, running, third_slowest_short_job_seconds


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with twins() as started:
        yield started


def test_whichever_answers_tells_of_the_whole_service(stage: Stage) -> None:
    with running(stage.service, LONG_JOB):
        time.sleep(bounds.POOL_AGE)
        assert [stage.pool()["unfinished_jobs"] for _ in range(8)] == [1] * 8  # a connection each: both answer


def test_short_jobs_on_either_do_not_wait_behind_the_long_one(stage: Stage) -> None:
    with running(stage.service, LONG_JOB), httpx.Client(base_url=stage.url) as client:
        assert third_slowest_short_job_seconds(client) < bounds.SHORT_JOB_BEHIND_LONG

"""Behind a route prefix; with two ingresses; with other kernels beside Fibonacci."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from chaos.registry import twins
from chaos.stage import Stage
from harness.config import Config, changed_config
from harness.processes import wait_until
from harness.service import Service, launched
from tests.page.conftest import OpenPage

PREFIX = "/fib"
TINY = {"sequence_size": 1_000, "num_sequences": 1}


def under_a_prefix_with_other_kernels(config: Config) -> None:
    config["applications"][0]["route_prefix"] = PREFIX
    config["applications"][0]["args"]["kernels"] += [{"import_path": "examples.primes:KERNEL"}]


@pytest.fixture(scope="module")
def prefixed() -> Iterator[Service]:
    changed = changed_config(under_a_prefix_with_other_kernels)
    with changed as path, launched("--cpus", "2", "--config", str(path)) as started:
        yield started


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with twins() as started:
        yield started


def test_under_a_prefix_all_of_it_works(prefixed: Service, visit: OpenPage) -> None:
    assert urlsplit(prefixed.url).path == PREFIX
    opened = visit(prefixed.url)
    assert urlsplit(opened.page.url).path == f"{PREFIX}/"
    opened.page.locator("#compare-run:enabled").click()
    opened.page.locator("#compare-result").wait_for(timeout=60_000)
    opened.page.locator("#compare-local-job").click()
    opened.page.locator("#job-curl").wait_for()
    assert f"{prefixed.url}/fibonacci" in opened.page.locator("#job-curl").input_value()
    assert [path for path in opened.requests if not path.startswith(PREFIX)] == []


def test_every_kernel_can_be_compared_and_a_job_says_which_it_is_of(prefixed: Service, visit: OpenPage) -> None:
    opened = visit(f"{prefixed.url}/#compare=primes:0x3000000")
    opened.page.locator("#compare-run:enabled").wait_for()
    assert opened.page.locator("#compare-kernel").input_value() == "primes"
    assert opened.page.locator("#field-num_numbers").input_value() == "3000000"
    opened.page.locator("#compare-run").click()
    opened.page.locator("#compare-result").wait_for(timeout=60_000)
    httpx.post(f"{prefixed.url}/fibonacci", json=TINY).raise_for_status()
    wait_until(lambda: {row[1].split()[0] for row in opened.jobs()} == {"primes", "fibonacci"}, 10, "both are told")
    assert {row[3].split()[1] for row in opened.rows("#compare-runs")} == {"numbers"}
    opened.shot("kernels")


def test_jobs_of_both_ingresses_are_seen(stage: Stage, visit: OpenPage) -> None:
    opened = visit(stage.url)
    wait_until(lambda: opened.text("#pool") == "2 workers, 2 ingresses", 15, "it says how many there are")
    posted = set()
    for _ in range(12):  # a connection each: HAProxy deals them out in turn
        posted.add(httpx.post(f"{stage.url}/fibonacci", json=TINY).raise_for_status().json()["job_id"][:8])
    wait_until(lambda: posted <= {row[0] for row in opened.jobs()}, 10, "every one is told of")
    opened.page.keyboard.press("t")
    wait_until(lambda: posted <= {row[1] for row in opened.batches()}, 10, "and so are their batches")
    opened.shot("two-ingresses")

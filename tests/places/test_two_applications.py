"""Another application in the same file, and ours under a prefix: each has its CPU, its address and its end."""

import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness import bounds
from harness.config import Config, changed_config
from harness.processes import wait_until
from harness.service import Service, launched

HELLO = {"name": "hello", "route_prefix": "/hello", "import_path": "tests.serve.hello:app"}
PREFIX = "/fib"


@pytest.fixture(params=[0, 1], ids=["before ours", "after ours"])
def beside_another(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Two CPUs for an application that wants one and a pool that would take all."""

    def change(config: Config) -> None:
        config["applications"][0]["route_prefix"] = PREFIX
        config["applications"].insert(request.param, dict(HELLO))

    with changed_config(change) as path, launched("--cpus", "2", "--config", str(path)) as made:
        yield made


@pytest.mark.timeout(180)
def test_both_work_and_only_our_jobs_are_waited_for_at_the_end(beside_another: Service) -> None:
    with httpx.Client(timeout=60, trust_env=False) as client, ThreadPoolExecutor(1) as caller:
        ours = beside_another.url
        assert ours.endswith(PREFIX)
        other = ours.removesuffix(PREFIX) + "/hello"
        assert client.get(other).text == "hello"
        wait_until(lambda: len(client.get(f"{ours}/pool").json()["workers"]) == 1, 10, "the pool has one worker")
        (line,) = [line.removeprefix("try: ") for line in beside_another.output if line.startswith("try: ")]
        assert "sizes" in subprocess.check_output(["bash", "-c", line], text=True, timeout=20)

        job = caller.submit(client.post, f"{ours}/fibonacci", json={"sequence_size": 1_000_000, "execution": "local"})
        wait_until(lambda: client.get(f"{ours}/pool").json()["unfinished_jobs"] == 1, 10, "the job runs")
        beside_another.process.send_signal(signal.SIGINT)
        wait_until(lambda: client.post(f"{ours}/fibonacci", json={}).status_code == 503, 5, "no new job is taken")
        assert job.result().status_code == 200
        begun = time.monotonic()
        assert beside_another.process.wait(bounds.SHUTDOWN) == 0
        assert time.monotonic() - begun < bounds.SHUTDOWN
    assert not any("dropping" in line for line in beside_another.output)

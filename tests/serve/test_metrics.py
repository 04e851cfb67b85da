"""A real Prometheus scrapes the service as the page says, and knows what has happened to its jobs."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deployments.launcher.ports import free_port
from harness.callers import LONG_JOB, open_request
from harness.config import Config, changed_config
from harness.processes import wait_until, workers
from harness.service import Service, launched
from tests.places.needs import needs_tool
from tests.serve.listening import listeners

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deployments/monitoring"
TOLD = 25.0
"""Ray's agent is told every 10 s, and the service may be busy."""
INGRESS = 'deployment="FibonacciIngress"'
TINY = {"sequence_size": 100, "num_sequences": 1}


class Prometheus:
    """One that runs, and answers queries."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **parameters: str) -> Any:
        answer = self._client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self._client.get("/-/ready").status_code == 200
        return False

    def values(self, expression: str) -> dict[str, float]:
        """By the values of the labels."""
        found = self.get("query", query=expression)["result"]
        return {" ".join(each["metric"].values()): float(each["value"][1]) for each in found}

    def value(self, expression: str) -> float:
        """Of one that there is one of; -1 if there is none."""
        found = self.values(expression)
        assert len(found) <= 1, expression
        return next(iter(found.values()), -1.0)

    def becomes(self, expression: str) -> None:
        """Wait until a comparison holds."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: bool(self.values(expression)), TOLD, expression)
        plain = re.split(r" (?:[<>]=?|==) ", expression)[0]
        assert self.values(expression), f"{expression}, but it is {self.values(plain)}"


def easily_full(config: Config) -> None:
    """Behind a long job nothing else is admitted."""
    config["applications"][0]["args"]["max_queued_seconds"] = 0.4


@pytest.fixture(scope="module")
def metered() -> Iterator[Service]:
    needs_tool("prometheus")
    port = str(free_port())
    with (
        changed_config(easily_full) as path,
        launched("--config", str(path), "--cpus", "2", "--metrics-port", port) as it,
    ):
        assert f"metrics on http://127.0.0.1:{port}/metrics\n" in it.output
        yield it


def metrics_url(service: Service) -> httpx.URL:
    (line,) = [line for line in service.output if line.startswith("metrics on ")]
    return httpx.URL(line.split()[2])


@pytest.fixture(scope="module")
def prometheus(metered: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Configured as the page says for a launcher, but for the port, and faster; with HAProxy's metrics, too."""
    folder = tmp_path_factory.mktemp("prometheus")
    page = (ROOT / "docs/operate.md").read_text()
    config = yaml.safe_load(re.findall(r"```yaml\n(global: .*?)```", page, re.DOTALL)[0])
    config["global"] = dict.fromkeys(config["global"], "1s")
    (target,) = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == "127.0.0.1:9464"
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{metrics_url(metered).port}"]
    plan = json.loads((metered.folder / "plan.json").read_text())
    haproxy = plan["config"]["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_HAPROXY_METRICS_PORT"]
    config["scrape_configs"].append(
        {"job_name": "fibonacci-haproxy", "static_configs": [{"targets": [f"127.0.0.1:{haproxy}"]}]}
    )
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "alerts.yaml").write_text((MONITORING / "alerts.yaml").read_text())
    port = free_port()
    process = subprocess.Popen(
        [
            needs_tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            running = Prometheus(client)
            wait_until(running.ready, 20, "Prometheus is ready")
            yield running
    finally:
        process.kill()
        process.wait()


def post(client: httpx.Client, body: dict[str, Any], **headers: str) -> httpx.Response:
    return client.post("/fibonacci", json=body, headers=headers)


@pytest.fixture(scope="module")
def done(metered: Service, prometheus: Prometheus) -> list[dict[str, Any]]:
    """Jobs of each kind that succeed: three cut up, one on one worker, thirty tiny ones at a time, one durable."""
    with httpx.Client(base_url=metered.url, timeout=60) as client:
        spread = {"sequence_size": 100_000, "num_sequences": 20}
        answers = [post(client, spread) for _ in range(3)]
        answers.append(post(client, {**spread, "execution": "local"}))
        tiny: list[httpx.Response] = []
        callers = [threading.Thread(target=lambda: tiny.append(post(client, TINY))) for _ in range(30)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        durable = post(client, TINY, Prefer="respond-async, wait=10")
        assert durable.status_code == 200
        return [answer.raise_for_status().json() for answer in (*answers, *tiny)]


@pytest.fixture(scope="module")
def costly(metered: Service) -> dict[str, Any]:
    """The refusal of a job that is too costly."""
    with httpx.Client(base_url=metered.url) as client:
        refusal: dict[str, Any] = post(client, {"sequence_size": 10_000_000, "num_sequences": 100}).json()
    assert refusal["type"] == "/problems/too-costly"
    return refusal


@pytest.fixture(scope="module")
def leaver(metered: Service, done: list[dict[str, Any]], costly: dict[str, Any]) -> Iterator[socket.socket]:
    """Whoever waits for a job of minutes, because of which four others were refused; a worker was killed under it."""
    with open_request(metered, LONG_JOB, 0.0) as caller, httpx.Client(base_url=metered.url) as other:
        wait_until(lambda: other.get("/pool").json()["unfinished_jobs"] == 1, 10, "the long job runs")
        for _ in range(4):
            assert post(other, TINY).json()["type"] == "/problems/queue-full"
        workers(metered.process.pid)[0].kill()
        yield caller


def test_it_is_rays_agent_that_listens_and_on_loopback_only(metered: Service) -> None:
    agents = [process for process in listeners(metered.process.pid) if metrics_url(metered).port in process.ports]
    assert [(agent.kind, list(agent.addresses)) for agent in agents] == [("agent", ["127.0.0.1"])]


def test_a_metrics_port_that_is_taken_gives_one_clear_line(metered: Service) -> None:
    port = str(metrics_url(metered).port)
    command = [sys.executable, "-m", "deployments.launch", "--port", "0", "--metrics-port", port]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert refused.stdout == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.usefixtures("leaver")
def test_while_a_long_job_runs_gauges_tell_it(prometheus: Prometheus) -> None:
    prometheus.becomes("sum(ray_fibonacci_unfinished_jobs) == 1")
    prometheus.becomes("sum(ray_fibonacci_queued_jobs) == 1")
    prometheus.becomes("max(ray_fibonacci_predicted_drain_seconds) > 10")
    prometheus.becomes('max(ray_fibonacci_workers{state="busy"}) >= 1')
    prometheus.becomes("max(ray_fibonacci_max_queued_seconds) == 0.4")
    durable = {"finished": 1.0, "queued": 0.0, "running": 0.0}
    assert prometheus.values("max by (state) (ray_fibonacci_durable_jobs)") == durable


@pytest.mark.usefixtures("leaver")
def test_jobs_that_succeeded_are_told_with_their_times(prometheus: Prometheus, done: list[dict[str, Any]]) -> None:
    jobs = f'{INGRESS}, outcome="succeeded", kernel="fibonacci"'
    prometheus.becomes(f"sum(ray_fibonacci_jobs_total{{{jobs}}}) == {len(done)}")
    counted = prometheus.values(f"sum by (execution) (ray_fibonacci_jobs_total{{{jobs}}})")
    assert counted == {"distributed": len(done) - 1, "local": 1}
    prometheus.becomes('sum(ray_fibonacci_jobs_total{deployment="FibonacciKeeper", outcome="succeeded"}) == 1')
    prometheus.becomes(f"sum(ray_fibonacci_job_duration_seconds_count) == {len(done) + 1}")
    for selector, name in (
        (f"job_queued_seconds_total{{{INGRESS}}}", "queued_seconds"),
        (f"job_compute_seconds_total{{{INGRESS}}}", "compute_seconds"),
        (f'predicted_seconds_total{{{INGRESS}, decision="accepted"}}', "predicted_compute_seconds"),
    ):
        expected = sum(answer["timing"][name] for answer in done)
        told = prometheus.value(f"sum(ray_fibonacci_{selector})")
        assert told == pytest.approx(expected, rel=0.01, abs=0.001), selector


@pytest.mark.usefixtures("leaver")
def test_the_batches_and_the_workers_are_told(prometheus: Prometheus, done: list[dict[str, Any]]) -> None:
    computed = sum(answer["timing"]["compute_seconds"] for answer in done)
    for metric in ("batch_compute", "batch_predicted", "batch_cpu", "worker_busy"):
        prometheus.becomes(f"sum(ray_fibonacci_{metric}_seconds_total) > {0.5 * computed}")
    prometheus.becomes(f'sum(ray_fibonacci_batches_total{{result="ok"}}) >= {len(done) - 30}')
    prometheus.becomes("sum(ray_fibonacci_coalesced_jobs_total) >= 2")
    assert prometheus.value("sum(ray_fibonacci_verification_failures_total)") == 0


@pytest.mark.usefixtures("leaver")
def test_a_killed_worker_is_told_by_what_was_lost_with_it(prometheus: Prometheus) -> None:
    prometheus.becomes('sum(ray_fibonacci_batches_total{result="lost"}) >= 1')
    lost = prometheus.value('sum(ray_fibonacci_batches_total{result="lost"})')
    assert prometheus.values("sum by (cause) (ray_fibonacci_retries_total) > 0") == {"lost": lost}


@pytest.mark.usefixtures("leaver")
def test_refusals_are_told_by_their_type(prometheus: Prometheus, costly: dict[str, Any]) -> None:
    prometheus.becomes('sum(ray_fibonacci_refusals_total{type="queue-full"}) == 4')
    refusals = prometheus.values("sum by (type) (ray_fibonacci_refusals_total) > 0")
    assert refusals == {"too-costly": 1, "queue-full": 4}
    assert prometheus.value('sum(ray_fibonacci_jobs_total{outcome="refused"})') == 5
    refused = prometheus.value('sum(ray_fibonacci_predicted_seconds_total{decision="refused"})')
    assert refused == pytest.approx(costly["predicted_compute_seconds"], rel=0.3)  # that is CPU time


def test_a_caller_that_leaves_is_told_and_how_long_its_batches_held_the_workers(
    prometheus: Prometheus, leaver: socket.socket
) -> None:
    leaver.close()
    prometheus.becomes('sum(ray_fibonacci_jobs_total{outcome="cancelled"}) == 1')
    prometheus.becomes("sum(ray_fibonacci_unfinished_jobs) == 0")
    prometheus.becomes('sum(ray_fibonacci_batches_total{result="cancelled"}) >= 1')
    prometheus.becomes("sum(ray_fibonacci_cancels_total) >= 1")
    cancels, seconds = (prometheus.value(f"sum(ray_fibonacci_cancel{name}_total)") for name in ("s", "_seconds"))
    assert 0 < seconds < 0.1 * cancels


def expressions() -> list[str]:
    """Every one of the dashboard, with its variables filled in."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [each.replace("$__rate_interval", "1m").replace("$application", ".*") for each in found]


def test_each_panel_of_the_dashboard_has_something_to_show(prometheus: Prometheus, done: list[dict[str, Any]]) -> None:
    assert [each for each in expressions() if not prometheus.values(each)] == []


def test_each_alert_rule_is_evaluated_and_only_the_right_ones_are_on(
    prometheus: Prometheus, done: list[dict[str, Any]]
) -> None:
    (group,) = prometheus.get("rules")["groups"]
    assert {rule["name"]: (rule["health"], rule.get("lastError")) for rule in group["rules"]} == {
        rule["name"]: ("ok", None) for rule in group["rules"]
    }
    on = {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]}
    assert on <= {"FibonacciQueueNearItsLimit", "FibonacciRefusals", "FibonacciPredictionOff"}


def test_no_caller_or_job_is_named(prometheus: Prometheus, done: list[dict[str, Any]]) -> None:
    series = prometheus.get("series", **{"match[]": '{__name__=~"ray_fibonacci_.*"}', "start": str(time.time() - 600)})
    values = {value for each in series for value in each.values()}
    assert not values & {str(answer["job_id"]) for answer in done}
    assert {"deployment", "replica", "application"} <= set(series[0])

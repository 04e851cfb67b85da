"""Where a row plays: a running service, its processes, and how much load it sustains."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from chaos.load import closed_loop, open_loop
from chaos.outcome import Check
from chaos.saboteur import LIAR_FILE
from harness.config import Change, Config, changed_config
from harness.postgres import PostgresServer
from harness.processes import cpu_seconds, descendants, wait_until, workers
from harness.service import Service, launched

LIAR = "liar"
"""The name of the file that makes its creator a liar."""
SUSTAINABLE = 0.4
"""Fraction of the peak goodput that is called sustainable."""
CALLERS = 16
IDLE_CPU = 0.2
"""CPU seconds that idle worker processes may use in one second: their heartbeats, and the clock's ticks."""


@dataclass(frozen=True)
class Capacity:
    """What the service did when nothing happened to it, measured first in the same run."""

    peak_per_second: float
    """Closed-loop goodput of mixed jobs."""
    peak_cost: float
    """The same in core-seconds of work a second, by the cost model's defaults."""
    undisturbed_p50: float
    undisturbed_p99: float
    """At the sustainable rate, seconds."""
    peak_cpus: float
    """CPUs that the workers got at the peak."""

    @property
    def rate(self) -> float:
        """Sustainable jobs a second."""
        return SUSTAINABLE * self.peak_per_second


@dataclass
class Stage:
    """A running service under test."""

    service: Service
    num_workers: int
    capacity: Capacity | None = None
    folder: Path | None = None
    """Where saboteurs leave word, or durable jobs are."""
    launch: Callable[..., contextlib.AbstractContextManager[Service]] | None = None
    """Starts another service like this one, with these options besides."""
    database: PostgresServer | None = None
    """Where durable jobs are, if it is not the folder."""

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def pid(self) -> int:
        return self.service.process.pid

    @property
    def rate(self) -> float:
        """Sustainable jobs a second."""
        return self.measured.rate

    @property
    def measured(self) -> Capacity:
        """The capacity, measured when it is first asked for."""
        if self.capacity is None:
            self.capacity = measure(self)
        return self.capacity

    def processes(self, title: str) -> list[psutil.Process]:
        """The service's processes whose command line contains ``title``."""
        return descendants(self.pid, title)

    def workers(self) -> list[psutil.Process]:
        return workers(self.pid)

    def pool(self) -> dict[str, Any]:
        """GET /pool. Raises ``httpx.HTTPError``."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/pool", timeout=5).raise_for_status().json()
        return answer

    def live_workers(self) -> int:
        """Workers that reply; 0 if the service does not say."""
        try:
            return sum(worker["state"] != "silent" for worker in self.pool()["workers"])
        except (httpx.HTTPError, ValueError):
            return 0

    def is_whole(self) -> bool:
        """Whether every worker replies, and none beside them is known."""
        try:
            states = [worker["state"] for worker in self.pool()["workers"]]
        except (httpx.HTTPError, ValueError):
            return False
        return len(states) == self.num_workers and "silent" not in states

    def until(self, condition: Callable[[], bool], timeout_seconds: float) -> float:
        """Seconds until the condition; infinite if it did not come in time."""
        try:
            return wait_until(condition, timeout_seconds, "")
        except AssertionError:
            return float("inf")

    def left_behind(self) -> list[Check]:
        """Jobs that nobody waits for any more, and computing that nobody asked for."""
        self.until(lambda: self._unfinished() == 0, 5)
        self.until(lambda: self.busy_cpu(0.5) <= IDLE_CPU, 5)
        return [
            Check("jobs left behind", self._unfinished(), 0, quiet=True),
            Check("CPUs of workers busy with nothing", self.busy_cpu(1.0), IDLE_CPU, quiet=True),
        ]

    def busy_cpu(self, seconds: float) -> float:
        """CPUs that the workers use over the next so many seconds."""
        processes = self.workers()
        with contextlib.suppress(psutil.NoSuchProcess):
            before = cpu_seconds(processes)
            time.sleep(seconds)
            return (cpu_seconds(processes) - before) / seconds
        return float("inf")  # one ended meanwhile: not calm

    def _unfinished(self) -> float:
        try:
            unfinished: int = self.pool()["unfinished_jobs"]
        except (httpx.HTTPError, ValueError):
            return float("inf")
        return unfinished


def measure(stage: Stage, seconds: float = 15.0) -> Capacity:
    """The peak in a closed loop, then the latency at the sustainable rate. Raises ``RuntimeError`` if a job fails."""
    closed_loop(stage.url, CALLERS, seconds / 3)  # warm: the service has learnt what jobs cost
    workers = stage.workers()
    cpu_before = cpu_seconds(workers)
    peak = closed_loop(stage.url, CALLERS, seconds)
    peak_cpu_seconds = cpu_seconds(workers) - cpu_before
    lasted = max(request.ended or 0.0 for request in peak.requests)
    per_second = len(peak.succeeded) / lasted
    with open_loop(stage.url, SUSTAINABLE * per_second) as calm:
        time.sleep(seconds)
    for record in (peak, calm):
        if record.failures or record.num_wrong:
            raise RuntimeError(f"undisturbed, and yet: {record.explain_failures()}, {record.num_wrong} wrong")
    cost = sum(request.job.cost for request in peak.succeeded) / lasted
    cpus = peak_cpu_seconds / lasted
    return Capacity(per_second, cost, calm.percentile_ms(50) / 1e3, calm.percentile_ms(99) / 1e3, cpus)


@contextlib.contextmanager
def staged(*changes: Change, cpus: int = 2, options: tuple[str, ...] = ()) -> Iterator[Stage]:
    """The launcher with a changed ``serve_config.yaml``, until every worker replies."""
    with changed_config(*changes) as path, launched("--cpus", str(cpus), "--config", str(path), *options) as service:
        stage = Stage(service, cpus)
        stage.until(stage.is_whole, 30)
        yield stage


def sabotaged(folder: Path) -> Change:
    """Workers of ``chaos.saboteur``: one lies, and all die of poison. ``folder`` is for this service alone."""

    def change(config: Config) -> None:
        (application,) = config["applications"]
        application["import_path"] = "chaos.saboteur:build"
        application["runtime_env"] = {"env_vars": {LIAR_FILE: str(folder / LIAR)}}

    return change

"""How each HTTP peer is started, and one visit to it: start, first answer, warm-up, measure, stop."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import yaml

from benchmarks import load, memory
from benchmarks.batch import time_job
from benchmarks.cpus import CPUS
from benchmarks.loads import LoadError
from benchmarks.needs import REDIS, Need
from benchmarks.peers import Run
from benchmarks.workloads import (
    CONNECTIONS,
    FEW_CONNECTIONS,
    IDLE_SECONDS,
    JOBS,
    SETTLING_SECONDS,
    SMALL_SIZES,
    TINY_JOB,
    WARM_UPS,
    Effort,
    small_job,
    steady,
)
from deployments.launcher.ports import free_port
from harness.service import Service, StartError, launched, started

FAILURES = (StartError, LoadError, httpx.HTTPError, ArithmeticError, OSError, psutil.Error)
"""What a visit may raise: the next peer can still be measured."""
ACTOR_CALLS = {"RAY_SERVE_USE_GRPC_BY_DEFAULT": "0"}
FLOOR = [{"name": "floor", "route_prefix": "/", "import_path": "benchmarks.peers.serve_floor:application"}]


@dataclass(frozen=True)
class Server:
    """``paths``: the peers that it serves, by name, and their routes. ``letters``: the work that it gets."""

    start: Callable[[], AbstractContextManager[Service]]
    paths: dict[str, str]
    letters: str
    splits: bool = False
    """Whether it cuts one sequence over several workers, and stops computing when its caller leaves."""
    needs: tuple[Need, ...] = ()
    """It comes with ``PEERS=all``, and these."""

    @property
    def name(self) -> str:
        return ", ".join(self.paths)


def peer(module: str) -> Callable[[], AbstractContextManager[Service]]:
    return lambda: started(f"benchmarks.peers.{module}", str(free_port()))


def service() -> AbstractContextManager[Service]:
    return launched("--cpus", str(CPUS))


@contextmanager
def reconfigured(flags: dict[str, str], applications: list[dict[str, str]] | None = None) -> Iterator[Service]:
    """The launcher with ``serve_config.yaml``, except for these flags and applications."""
    config: dict[str, Any] = yaml.safe_load(Path("serve_config.yaml").read_text())
    config["controller_options"]["runtime_env"]["env_vars"] |= flags
    config["applications"] = applications or config["applications"]
    with TemporaryDirectory(prefix="fibonacci-bench-") as folder:
        path = Path(folder) / "serve_config.yaml"
        path.write_text(yaml.safe_dump(config))
        with launched("--config", str(path), "--cpus", str(CPUS)) as running:
            yield running


SERVERS = [
    Server(service, {"service": "/fibonacci"}, "abcdefghijs", splits=True),
    Server(lambda: reconfigured(ACTOR_CALLS), {"service, actor calls": "/fibonacci"}, "abcdefghijs", splits=True),
    Server(peer("fastapi_process_pool"), {"FastAPI + ProcessPoolExecutor": "/fibonacci"}, "abcdefghij"),
    Server(peer("lit_serve"), {"LitServe": "/fibonacci"}, "defhij"),
    Server(peer("serve_tutorial"), {"Serve, tutorial style": "/fibonacci"}, "abcdefhij"),
    Server(
        lambda: reconfigured({}, FLOOR),
        {"Serve, no worker called": "/no-worker", "Serve, idle worker": "/idle-worker"},
        "def",
    ),
    Server(lambda: reconfigured(ACTOR_CALLS, FLOOR), {"Serve, idle worker, actor calls": "/idle-worker"}, "def"),
    Server(peer("fastapi_celery"), {"FastAPI + Celery + Redis": "/fibonacci"}, "abcdefghij", needs=(REDIS,)),
]
"""One runs at a time: two Ray clusters on two cores disturb each other."""


def visit(server: Server, effort: Effort, number: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Visit number 1, 2, ...: the peers and their figures, round by round."""
    started_at = time.perf_counter()
    with server.start() as running, httpx.Client(base_url=running.url, timeout=300) as client:
        try:
            _first_answer(client, next(iter(server.paths.values())))
            start_seconds = time.perf_counter() - started_at
            for name, path in server.paths.items():
                if "h" in server.letters:
                    yield name, {"h_seconds": start_seconds}
                if "j" in server.letters:
                    yield name, _idle(running.process.pid)
                yield name, _warm_up(client, path, server.letters, running.process.pid if server.splits else None)
            yield from _rounds(client, server, effort, number)
        finally:
            if "g" in server.letters and not server.splits:
                _kill(running)


def _rounds(
    client: httpx.Client, server: Server, effort: Effort, number: int
) -> Iterator[tuple[str, dict[str, float]]]:
    letters = effort.letters(server.letters, always_c=server.splits)
    for _ in range(effort.repeats):
        for name, path in server.paths.items():
            yield name, _measure(client, path, letters, effort)
    for name, path in server.paths.items():
        if "s" in letters:
            for size in effort.one_sequence_sizes(number):
                yield name, {f"s_speedup_{size}": steady(partial(_speedup, client, path, size), size, 1)}
        if "g" in letters:
            figures = load.while_pool_is_held(_url(client, path), effort)
            yield name, {f"g_{figure}": value for figure, value in figures.items()}


def _measure(client: httpx.Client, path: str, letters: str, effort: Effort) -> dict[str, float]:
    url = _url(client, path)
    jobs = {letter: partial(time_job, _run(client, path), *JOBS[letter]) for letter in letters if letter in JOBS}
    values = {f"{letter}_seconds": steady(job, *JOBS[letter]) for letter, job in jobs.items()}
    closed = load.closed_loop(url, CONNECTIONS, effort.closed_seconds)
    opened = load.open_loop(url, closed["requests_per_second"] / 2, effort.open_seconds)
    values |= {f"d_{name}": value for name, value in closed.items()}
    values |= {f"e_{name}": value for name, value in opened.items()}
    values["f_p50_ms"] = load.closed_loop(url, 1, effort.closed_seconds / 2)["p50_ms"]
    for size in SMALL_SIZES if "i" in letters else ():
        values |= _measure_small(url, size, effort)
    return values


def _measure_small(url: str, size: int, effort: Effort) -> dict[str, float]:
    job, loops = small_job(size), {}
    for connections in (FEW_CONNECTIONS, CONNECTIONS):
        loops[f"{connections}"] = load.closed_loop(url, connections, effort.closed_seconds / 2, job)
    rate = loops[f"{CONNECTIONS}"]["requests_per_second"] / 2
    loops["open"] = load.open_loop(url, rate, effort.open_seconds / 2, job)
    return {f"i_{size}_{loop}_{name}": value for loop, values in loops.items() for name, value in values.items()}


def _idle(root: int) -> dict[str, float]:
    """Memory and CPU of a service that has nothing to do, with all its processes."""
    time.sleep(SETTLING_SECONDS)
    processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    before, began = _cpu_seconds(processes), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    share = (_cpu_seconds(processes) - before) / (time.perf_counter() - began)
    megabytes = memory.proportional_megabytes(process.pid for process in processes)
    return {"j_megabytes": megabytes, "j_cpu_percent": max(0.0, 100 * share)}


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    seconds = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def _url(client: httpx.Client, path: str) -> str:
    return str(client.base_url.join(path))


def _run(client: httpx.Client, path: str) -> Run:
    def run(sequence_size: int, num_sequences: int) -> list[int]:
        response = client.post(path, json={"sequence_size": sequence_size, "num_sequences": num_sequences})
        sizes: list[int] = response.raise_for_status().json()["sizes"]
        return sizes

    return run


def _speedup(client: httpx.Client, path: str, sequence_size: int) -> float:
    """Of one sequence: the service runs it locally, then distributed."""
    response = client.post(f"{path}/compare", json={"sequence_size": sequence_size, "num_sequences": 1})
    return float(response.raise_for_status().json()["speedup"])


def _first_answer(client: httpx.Client, path: str, patience_seconds: float = 60) -> None:
    """Some say that they are ready a moment before they listen."""
    give_up_at = time.perf_counter() + patience_seconds
    while time.perf_counter() < give_up_at:
        try:
            client.post(path, json=TINY_JOB).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.01)
        else:
            return
    raise StartError(f"no answer within {patience_seconds} s")


def _warm_up(client: httpx.Client, path: str, letters: str, launcher: int | None) -> dict[str, float]:
    """What the launcher's workers took for the first run of (a), if it is the service."""
    workers = _workers(launcher) if launcher else []
    before = [memory.watch(worker) for worker in workers]
    figures = {}
    for number in range(WARM_UPS if "a" in letters else 0):
        _run(client, path)(*JOBS["a"])
        if workers and not number:
            grown = [memory.growth(least, worker) for least, worker in zip(before, workers, strict=True)]
            figures["a_megabytes"] = sum(grown)
    if workers:
        _run(client, path)(*JOBS["b"])  # it also learns what work costs
    load.closed_loop(_url(client, path), CONNECTIONS, 1)
    return figures


def _workers(launcher: int) -> list[int]:
    """The process ids of the service's workers."""
    children = psutil.Process(launcher).children(recursive=True)
    return [child.pid for child in children if "FibonacciWorker" in " ".join(child.cmdline())]


def _kill(running: Service) -> None:
    """At once, with all that it started: it would finish (g)'s long job first."""
    with suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()

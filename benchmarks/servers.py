"""How each HTTP peer is started, and one visit to it: start, first answer, warm-up, measure, stop."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import yaml

from benchmarks import load
from benchmarks.batch import time_job
from benchmarks.peers import Run
from benchmarks.workloads import CONNECTIONS, JOBS, TINY_JOB, Effort
from deployments.launched import Service, StartError, launched, started
from deployments.ports import free_port

FAILURES = (StartError, load.LoadError, httpx.HTTPError, ArithmeticError, subprocess.CalledProcessError)
"""What a visit may raise: the next peer can still be measured."""
GRPC = {"RAY_SERVE_USE_GRPC_BY_DEFAULT": "1"}
FLOOR = [{"name": "floor", "route_prefix": "/", "import_path": "benchmarks.peers.serve_floor:application"}]


@dataclass(frozen=True)
class Server:
    """``paths``: the peers that it serves, by name, and their routes. ``letters``: the work that it gets."""

    start: Callable[[], AbstractContextManager[Service]]
    paths: dict[str, str]
    letters: str
    splits: bool = False
    """Whether it cuts one sequence over several workers."""


def peer(module: str) -> Callable[[], AbstractContextManager[Service]]:
    return lambda: started(f"benchmarks.peers.{module}", str(free_port()))


@contextmanager
def reconfigured(flags: dict[str, str], applications: list[dict[str, str]] | None = None) -> Iterator[Service]:
    """The launcher with ``serve_config.yaml``, but for these flags and applications."""
    config: dict[str, Any] = yaml.safe_load(Path("serve_config.yaml").read_text())
    config["controller_options"]["runtime_env"]["env_vars"] |= flags
    config["applications"] = applications or config["applications"]
    with TemporaryDirectory(prefix="fibonacci-bench-") as folder:
        path = Path(folder) / "serve_config.yaml"
        path.write_text(yaml.safe_dump(config))
        with launched("--config", str(path)) as service:
            yield service


SERVERS = [
    Server(launched, {"service": "/fibonacci"}, "abcdfgh", splits=True),
    Server(lambda: reconfigured(GRPC), {"service, gRPC": "/fibonacci"}, "abcdfgh", splits=True),
    Server(peer("fastapi_process_pool"), {"FastAPI + ProcessPoolExecutor": "/fibonacci"}, "abcdfgh"),
    Server(peer("lit_serve"), {"LitServe": "/fibonacci"}, "dfh"),
    Server(peer("serve_tutorial"), {"Serve, tutorial style": "/fibonacci"}, "abcdfh"),
    Server(
        lambda: reconfigured({}, FLOOR),
        {"Serve, no worker called": "/no-worker", "Serve, idle worker": "/idle-worker"},
        "df",
    ),
    Server(lambda: reconfigured(GRPC, FLOOR), {"Serve, idle worker, gRPC": "/idle-worker"}, "df"),
]
"""One runs at a time: two Ray clusters on two cores disturb each other."""


def visit(server: Server, effort: Effort) -> Iterator[tuple[str, dict[str, float]]]:
    """The peers and their figures, round by round."""
    letters = effort.letters(server.letters, always_c=server.splits)
    started_at = time.perf_counter()
    with server.start() as service, httpx.Client(base_url=service.url, timeout=300) as client:
        _first_answer(client, next(iter(server.paths.values())))
        start_seconds = time.perf_counter() - started_at
        for name, path in server.paths.items():
            if "h" in letters:
                yield name, {"h_seconds": start_seconds}
            _warm_up(client, path, letters, effort)
        for _ in range(effort.repeats):
            for name, path in server.paths.items():
                yield name, _measure(client, path, letters, effort)


def _measure(client: httpx.Client, path: str, letters: str, effort: Effort) -> dict[str, float]:
    url = str(client.base_url.join(path))
    values = {f"{letter}_seconds": time_job(_run(client, path), letter) for letter in letters if letter in JOBS}
    if load.WRK:
        values |= {f"d_{name}": value for name, value in load.wrk(url, CONNECTIONS, effort.load_seconds).items()}
        values["f_p50_ms"] = load.wrk(url, 1, effort.load_seconds)["p50_ms"]
    if "g" in letters:
        values |= {f"g_{name}": value for name, value in load.while_pool_is_held(url, effort).items()}
    return values


def _run(client: httpx.Client, path: str) -> Run:
    def run(sequence_size: int, num_sequences: int) -> list[int]:
        response = client.post(path, json={"sequence_size": sequence_size, "num_sequences": num_sequences})
        sizes: list[int] = response.raise_for_status().json()["sizes"]
        return sizes

    return run


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


def _warm_up(client: httpx.Client, path: str, letters: str, effort: Effort) -> None:
    for letter in letters:
        if letter in "ab":
            _run(client, path)(*JOBS[letter])
    if load.WRK:
        load.wrk(str(client.base_url.join(path)), CONNECTIONS, min(1, effort.load_seconds))

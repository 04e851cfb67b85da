"""Starting and stopping: the launcher, a bare `serve run`, side by side, and what is left afterwards."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pytest
import yaml

from deployments.config.api_keys import VARIABLE
from deployments.launcher import command
from deployments.launcher.serve_config import prepare, read_address
from harness import bounds
from harness.config import changed_config
from harness.processes import alive, descendants, wait_until
from harness.service import Service
from tests.serve.callers import make_key
from tests.serve.listening import check_listening, listeners

ROOT = Path(__file__).parents[2]


def test_a_signal_before_the_service_is_ready_ends_the_launcher_in_one_line() -> None:
    command = [sys.executable, "-m", "deployments.launch", "--port", "0"]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: bool(descendants(launcher.pid, "ray::ServeController")), 60, "Serve starts")
        launcher.send_signal(signal.SIGINT)
        output, _ = launcher.communicate(timeout=60)
    finally:
        launcher.kill()
        launcher.communicate()
    assert launcher.returncode == 1
    assert output.splitlines()[-1] == "error: stopped by SIGINT before it was ready"


def test_a_cluster_has_at_least_one_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.run(["--cpus", "0"], None)
    assert "--cpus: 1 to " in capsys.readouterr().err


def test_a_busy_port_gives_one_clear_line(service: Service) -> None:
    url = httpx.URL(service.url)
    command = [sys.executable, "-m", "deployments.launch", "--port", str(url.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stdout == f"error: cannot listen on 127.0.0.1:{url.port}: Address already in use\n"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("deployments", [{"num_replicas": 2}], "applications.0.deployments.0.name: Field required"),
        ("args", {"max_queued_jobs": 0}, "max_queued_jobs: Input should be greater than or equal to 1"),
        ("args", {"max_jobs": 1}, "max_jobs: Extra inputs are not permitted"),
    ],
)
def test_what_serve_or_the_settings_would_refuse_gives_one_clear_line(name: str, value: object, wrong: str) -> None:
    with changed_config(lambda config: config["applications"][0].update({name: value})) as path:
        command = [sys.executable, "-m", "deployments.launch", "--port", "0", "--config", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == f"error: the configuration is invalid: {wrong}"


def no_applications(config: dict[str, Any]) -> None:
    config["applications"] = []


def no_import(config: dict[str, Any]) -> None:
    config["applications"][0]["import_path"] = "deployments.nothing:build"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_applications, "error: the configuration has no applications"),
        (no_import, "error: application fibonacci failed: ModuleNotFoundError: No module named 'deployments.nothing'"),
    ],
)
def test_the_last_line_says_what_cannot_start(change: Callable[[dict[str, Any]], None], said: str) -> None:
    with changed_config(change) as path:
        command = [sys.executable, "-m", "deployments.launch", "--port", "0", "--config", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, said)  # Ray may have said more before


@pytest.fixture
def bare_config() -> Iterator[Path]:
    """serve_config.yaml on free ports, for a bare `serve run` beside the tier's own service."""
    with TemporaryDirectory(prefix="f", dir="/tmp") as folder:  # pytest's own are too long for sockets
        config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        prepare(config, read_address(config, None, 0), Path(folder))
        del config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_HAPROXY_BINARY_PATH"]
        path = Path(folder, "serve_config.yaml")
        path.write_text(yaml.safe_dump(config))
        yield path


@contextlib.contextmanager
def serve_run(config: Path, **environment: str) -> Iterator[Service]:
    """A bare `serve run` that is ready."""
    http = yaml.safe_load(config.read_text())["http_options"]
    process = subprocess.Popen(
        # A script's background jobs ignore SIGINT, and so would all that they start.
        ["env", "--default-signal=INT", str(Path(sys.executable).with_name("serve")), "run", str(config)],
        cwd=ROOT, env=os.environ | {"RAY_ADDRESS": "local", "RAY_AUTH_MODE": "token"} | environment,
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    service = Service(f"http://{http['host']}:{http['port']}", process)
    try:
        wait_until(lambda: is_ready(service), 90, "ready")
        yield service
    finally:
        process.kill()
        process.wait()


def is_ready(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(180)
def test_a_bare_serve_run_is_the_service_and_ends_on_ctrl_c(bare_config: Path) -> None:
    key, line = make_key("alice")
    with serve_run(bare_config, **{VARIABLE: line}) as service:
        answers = [
            httpx.post(f"{service.url}/fibonacci", json={"sequence_size": 10, "num_sequences": 1}, headers=headers)
            for headers in ({}, {"Authorization": f"Bearer {key}"})
        ]
        assert [answer.status_code for answer in answers] == [401, 200]  # the environment's keys reach the replicas
        assert answers[1].json()["sizes"] == [10]
        pid = service.process.pid
        check_listening(pid, "serve run")
        (dashboard,) = [process for process in listeners(pid) if process.kind == "dashboard"]
        statuses = [httpx.get(f"http://127.0.0.1:{port}/api/jobs/").status_code for port in dashboard.ports]
        assert 401 in statuses  # Ray's token is wanted
        everything = descendants(pid)
        os.killpg(pid, signal.SIGINT)  # as a terminal does: to every process of the group
        assert service.process.wait(bounds.SHUTDOWN) == 0
        wait_until(lambda: not alive(everything), 5, "no process is left")


@pytest.mark.timeout(180)
def test_kill_9_of_serve_run_leaves_nothing_running(bare_config: Path) -> None:
    with serve_run(bare_config) as service:
        pid = service.process.pid
        wait_until(lambda: bool(descendants(pid, "haproxy")), 10, "HAProxy is there, and not being replaced")
        everything = descendants(pid)
        service.stop(signal.SIGKILL)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not alive(everything), bounds.NOTHING_LEFT, "no process is left")
    assert not alive(everything)


@pytest.mark.timeout(300)
def test_make_demo_prints_the_comparison() -> None:
    command = ["make", "--no-print-directory", "demo", "ROUNDS=1"]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    everything: set[psutil.Process] = set()
    try:
        while demo.poll() is None:  # a process whose parent has ended is nobody's descendant any more
            everything |= set(descendants(demo.pid))
            time.sleep(0.5)
        printed, _ = demo.communicate()
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 0, printed
    assert len(everything) > 10  # Ray's and the service's
    for job in (f"{len(os.sched_getaffinity(0))} x 100000 ", "64 x 100000 ", "1 x 1000000 "):
        assert any(job in line for line in printed.splitlines()), printed
    assert re.search(r"^  \d+\.\d{3} s, peak memory \d+ MB$", printed, re.MULTILINE), printed
    disturbed = r"(; no measure: other work took \d+\.\d cores meanwhile)?"
    assert re.fullmatch(rf"speed-up: \d+\.\d\d \(64 x 100000, \d+ workers\){disturbed}", printed.splitlines()[-1])
    assert re.search(r"^  ready on ", printed, re.MULTILINE), printed
    assert not alive(list(everything))

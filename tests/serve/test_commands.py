"""Starting: what cannot start says why, in one line."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.launcher import command
from harness.config import changed_config
from harness.processes import descendants, wait_until
from harness.service import Service

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

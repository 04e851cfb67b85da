"""A cluster whose Serve runs already, without our options: the service is refused in one line, and then works."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deployments.launcher.ports import free_port_range
from deployments.launcher.serve_config import prepare, read_address
from harness.processes import alive, descendants, wait_until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TOKEN = secrets.token_hex(32)
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture
def dashboard() -> Iterator[str]:
    """The address of the dashboard of a cluster as ``ray start`` makes it."""
    first = free_port_range(8)
    agent = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port")
    ports = {name: first + i for i, name in enumerate(("port", "dashboard-port", "ray-client-server-port", *agent))}
    subprocess.run([BIN / "ray", "get-auth-token", "--generate"], env=ENVIRONMENT, capture_output=True, check=True)
    with tempfile.TemporaryDirectory(
        prefix="r", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:  # sockets have short paths
        command = [str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2", f"--temp-dir={folder}"]
        command += [f"--{name}={port}" for name, port in ports.items()]
        head = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{ports['dashboard-port']}"
            wait_until(lambda: applications(url) == {}, 60, "the dashboard answers")
            yield url
        finally:
            everything = descendants(head.pid)
            head.kill()  # on SIGTERM it was seen to take more than 30 s
            head.wait()
            for process in alive(everything):
                process.kill()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """pytest's own are too long for HAProxy's sockets."""
    with tempfile.TemporaryDirectory(prefix="f", dir="/tmp") as name:
        yield Path(name)


def applications(dashboard: str) -> dict[str, Any] | None:
    """What Serve's REST API says of them; None while nothing answers."""
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.get(f"{dashboard}/api/serve/applications/", headers=headers, timeout=30)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    found: dict[str, Any] = answer.json()["applications"]
    return found


def serve(dashboard: str, *arguments: str) -> str:
    """The output of a command of Serve's."""
    address = {"RAY_DASHBOARD_ADDRESS": dashboard}
    command = [str(BIN / "serve"), *arguments]
    done = subprocess.run(
        command, env=ENVIRONMENT | address, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(240)
def test_it_is_refused_in_one_line_and_works_when_serve_is_started_anew(dashboard: str, short_folder: Path) -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    prepare(config, read_address(config, None, 0), short_folder)
    url = f"http://127.0.0.1:{config['http_options']['port']}"
    (short_folder / "own.yaml").write_text(yaml.safe_dump(config))
    bare = {"http_options": config["http_options"], "applications": config["applications"]}
    (short_folder / "bare.yaml").write_text(yaml.safe_dump(bare))

    def status() -> str:
        application = (applications(dashboard) or {}).get("fibonacci", {})
        return str(application.get("status"))

    serve(dashboard, "deploy", str(short_folder / "bare.yaml"))
    wait_until(lambda: status() == "DEPLOY_FAILED", 60, "it is refused")
    _, message = (
        (applications(dashboard) or {})["fibonacci"]["message"].strip().splitlines()
    )  # the first is Serve's own
    assert "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH" in message
    assert "serve shutdown" in message
    assert message in " ".join(serve(dashboard, "status").split())

    serve(dashboard, "shutdown", "-y")
    serve(dashboard, "deploy", str(short_folder / "own.yaml"))
    wait_until(lambda: status() == "RUNNING", 90, "it runs")
    job = {"sequence_size": 10, "num_sequences": 1}
    assert httpx.post(f"{url}/fibonacci", json=job).raise_for_status().json()["sizes"] == [10]

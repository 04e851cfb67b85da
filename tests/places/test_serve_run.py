"""A bare `serve run`, without the launcher: the same service, and nothing left of it afterwards."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import yaml

from deployments.config.api_keys import VARIABLE
from deployments.ingress import UNPROTECTED
from deployments.launcher.serve_config import prepare, read_address
from harness import bounds
from harness.processes import alive, descendants, wait_until
from harness.service import Service
from tests.serve.callers import make_key
from tests.serve.listening import check_listening, listeners

ROOT = Path(__file__).parents[2]


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
    """A bare `serve run` that is ready; what it prints is in ``output`` beside its file."""
    http = yaml.safe_load(config.read_text())["http_options"]
    with output(config).open("w") as file:
        process = subprocess.Popen(
            # A script's background jobs ignore SIGINT, and so would all that they start.
            ["env", "--default-signal=INT", str(Path(sys.executable).with_name("serve")), "run", str(config)],
            cwd=ROOT, env=os.environ | {"RAY_ADDRESS": "local", "RAY_AUTH_MODE": "token"} | environment,
            start_new_session=True, stdout=file, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    service = Service(f"http://{http['host']}:{http['port']}", process)
    try:
        wait_until(lambda: is_ready(service), 90, "ready")
        yield service
    finally:
        process.kill()
        process.wait()


def output(config: Path) -> Path:
    return config.with_name("output")


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
        assert UNPROTECTED not in output(bare_config).read_text()
        everything = descendants(pid)
        os.killpg(pid, signal.SIGINT)  # as a terminal does: to every process of the group
        assert service.process.wait(bounds.SHUTDOWN) == 0
        wait_until(lambda: not alive(everything), 5, "no process is left")


@pytest.mark.timeout(180)
def test_without_a_token_the_ingress_warns_and_kill_9_of_serve_run_leaves_nothing_running(bare_config: Path) -> None:
    with serve_run(bare_config, RAY_AUTH_MODE="disabled") as service:
        wait_until(lambda: UNPROTECTED in output(bare_config).read_text(), 5, "the warning")
        pid = service.process.pid
        wait_until(lambda: bool(descendants(pid, "haproxy")), 10, "HAProxy is there, and not being replaced")
        everything = descendants(pid)
        service.stop(signal.SIGKILL)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not alive(everything), bounds.NOTHING_LEFT, "no process is left")
    assert not alive(everything)

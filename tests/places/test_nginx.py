"""The example of a reverse proxy with TLS, deployments/nginx.conf, in front of the real service."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from deployments.launcher.ports import free_port
from harness import bounds
from harness.callers import LONG_JOB
from harness.processes import cpu_seconds, wait_until, workers
from harness.raw_socket import request
from harness.service import Service
from tests.places.needs import lacks

EXAMPLE = Path(__file__).parents[2] / "deployments/nginx.conf"
AROUND = """
master_process off;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include fibonacci.conf;
}
"""
TRIES = 20


def configured(service: Service, port: int, folder: Path) -> str:
    """The example with this machine's ports and certificate, and nothing else changed."""
    text = EXAMPLE.read_text()
    for shipped, here in {
        "server 127.0.0.1:8000;": f"server {service.url.removeprefix('http://')};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "    listen [::]:443 ssl;\n": "",
        "/etc/nginx/": f"{folder}/",
    }.items():
        assert shipped in text
        text = text.replace(shipped, here)
    return text


@dataclass(frozen=True)
class Front:
    """Where nginx listens, and who trusts its certificate alone."""

    port: int
    tls: ssl.SSLContext

    def open_request(self, content: bytes) -> ssl.SSLSocket:
        """Post a job, and do not wait for its answer."""
        connection = self.tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port)), server_hostname="127.0.0.1"
        )
        connection.sendall(request(content))
        return connection


@pytest.fixture(scope="module")
def front(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The example, in front of the service."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(nginx).exists() or not shutil.which("openssl"):
        lacks("nginx and openssl")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate = folder / "fibonacci.crt"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", f"{folder}/fibonacci.key"]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "fibonacci.conf").write_text(configured(service, port, folder))
    (folder / "nginx.conf").write_text(AROUND)
    command = [nginx, "-p", str(folder), "-e", "error.log", "-c", "nginx.conf", "-g", "daemon off;"]
    made_front = Front(port, ssl.create_default_context(cafile=certificate))
    with subprocess.Popen(command) as process, caller_of(made_front) as client:
        try:
            wait_until(lambda: is_up(client), 10, "nginx answers")
            yield made_front
        finally:
            process.terminate()


def caller_of(front: Front) -> httpx.Client:
    return httpx.Client(base_url=f"https://127.0.0.1:{front.port}", verify=front.tls, timeout=120)


@pytest.fixture
def behind_nginx(front: Front) -> Iterator[httpx.Client]:
    with caller_of(front) as client:
        yield client


def is_up(client: httpx.Client) -> bool:
    with suppress(httpx.ConnectError):
        return client.get("/livez").is_success
    return False


def test_health_and_jobs_are_answered_through_it(behind_nginx: httpx.Client) -> None:
    assert behind_nginx.get("/readyz").is_success
    answer = behind_nginx.post("/fibonacci", json={"sequence_size": 1_000, "num_sequences": 2})
    assert answer.json()["sizes"] == [1_000, 1_000]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def chunked(body: bytes) -> Iterator[bytes]:
    yield body


@pytest.mark.parametrize("content_of", [bytes, chunked])
@pytest.mark.parametrize("num_bytes", [65_537, 70_000, 1_000_000, 8_000_000])
def test_a_body_that_is_too_long_is_refused_by_the_service(
    behind_nginx: httpx.Client, num_bytes: int, content_of: Callable[[bytes], bytes | Iterator[bytes]]
) -> None:
    headers = {"Content-Type": "application/json"}
    body = b" " * num_bytes
    refused = [behind_nginx.post("/fibonacci", content=content_of(body), headers=headers) for _ in range(TRIES)]
    assert {(each.status_code, each.headers["content-type"]) for each in refused} == {(413, "application/problem+json")}


def test_a_body_of_64_kb_is_taken(behind_nginx: httpx.Client) -> None:
    body = b'{"sequence_size": 10, "num_sequences": 1}'.ljust(65_536)
    assert behind_nginx.post("/fibonacci", content=body, headers={"Content-Type": "application/json"}).is_success


def test_who_leaves_it_leaves_the_service(service: Service, front: Front) -> None:
    processes = workers(service.process.pid)
    with front.open_request(json.dumps(LONG_JOB).encode()):
        before = cpu_seconds(processes)
        wait_until(lambda: cpu_seconds(processes) - before > 1.0, 10, "both workers compute")
    time.sleep(bounds.CANCELLED_CPU_IDLE)
    settled = cpu_seconds(processes)
    time.sleep(1.0)
    assert cpu_seconds(processes) - settled < 0.15  # what idle Ray workers use, and the clock's ticks


def test_it_waits_longer_than_any_deadline() -> None:
    assert f"proxy_read_timeout {Settings().max_timeout_seconds + 10:.0f}s;" in EXAMPLE.read_text()

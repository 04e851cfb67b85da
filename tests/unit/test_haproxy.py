"""What becomes of the configuration that Serve writes for HAProxy."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from deployments.haproxy import rewritten, shown_metrics
from deployments.launcher.environment import HAPROXY_BINDS, HAPROXY_METRICS

COMMAND = Path(sys.executable).with_name("fibonacci-haproxy")
SERVES = """\
defaults
    mode http
    errorfile 502 {folder}/500.http
frontend prometheus
    bind :9101
frontend http_frontend
    bind 127.0.0.1:8000
    http-request return status 200
backend http-fibonacci
    server a 127.0.0.1:30000 check
listen stats
  bind *:8404
""".splitlines()


def test_the_api_is_bound_where_it_is_to_be_and_all_else_on_loopback() -> None:
    binds = [line.strip() for line in rewritten(SERVES, ("[::]:80 v4v6", "10.0.0.1:80")) if "bind" in line]
    assert binds == [
        "bind 127.0.0.1:9101", "bind [::]:80 v4v6 proto h1", "bind 10.0.0.1:80 proto h1", "bind 127.0.0.1:8404",
    ]  # fmt: skip


def test_without_an_address_every_bind_stays_where_serve_has_it() -> None:
    binds = [line.strip() for line in rewritten(SERVES, ()) if "bind" in line]
    assert binds == ["bind :9101", "bind 127.0.0.1:8000 proto h1", "bind *:8404"]


def test_nothing_else_is_changed() -> None:
    lines = rewritten(SERVES, ("10.0.0.1:80",))
    kept = [line for line in lines if not line.strip().startswith(("bind", "http-after-response"))]
    assert kept == [line for line in SERVES if "bind" not in line]


def test_the_metrics_are_shown_nowhere_unless_it_is_said_where() -> None:
    assert list(shown_metrics("")) == []


def test_of_the_metrics_port_only_the_metrics_are_passed_on() -> None:
    lines = [line.strip() for line in shown_metrics("29001 0.0.0.0:9464,[::1]:9464")]
    assert lines[:3] == ["listen fibonacci_metrics", "bind 0.0.0.0:9464 proto h1", "bind [::1]:9464 proto h1"]
    assert "http-request return status 404 unless { path /metrics } { method GET HEAD }" in lines
    assert lines[-1] == "server agent 127.0.0.1:29001"


@pytest.fixture
def running(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    config = tmp_path / "haproxy.cfg"
    lines = [line.format(folder=tmp_path).replace("9101", "29101").replace("8404", "28404") for line in SERVES]
    config.write_text("\n".join(["global", f"    stats socket {tmp_path}/admin.sock", *lines]) + "\n")
    environment = os.environ | {HAPROXY_BINDS: "127.0.0.1:28000", HAPROXY_METRICS: "28001 127.0.0.1:28002"}
    process = subprocess.Popen([COMMAND, "-db", "-f", str(config)], env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not (tmp_path / "admin.sock").exists() and time.monotonic() < until:
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


class Agent(BaseHTTPRequestHandler):
    """Answers everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"all that Ray tells")

    do_POST = do_GET  # noqa: N815 (its library calls it so)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.usefixtures("running")
def test_haproxy_itself_passes_on_nothing_but_the_metrics() -> None:
    with HTTPServer(("127.0.0.1", 28_001), Agent) as agent, httpx.Client(base_url="http://127.0.0.1:28002") as client:
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        told = client.get("/metrics")
        assert (told.status_code, told.text) == (200, "all that Ray tells")
        others = [client.get("/"), client.get("/metrics/x"), client.get("//metrics"), client.post("/metrics")]
        assert [other.status_code for other in others] == [404] * 4
        agent.shutdown()


def test_a_signal_to_every_process_of_the_service_does_not_end_haproxy(
    running: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    assert (tmp_path / "admin.sock").exists(), "it did not start"
    assert (tmp_path / "500.http").exists(), "a page that a cleaner took is written anew"
    for number in (signal.SIGTERM, signal.SIGHUP):
        running.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.5)
    running.send_signal(signal.SIGUSR1)  # Serve's: no request is in flight, so it ends
    running.wait(5)

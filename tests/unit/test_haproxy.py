"""What becomes of the configuration that Serve writes for HAProxy."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.haproxy import rewritten
from deployments.launcher.environment import HAPROXY_BINDS

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


@pytest.fixture
def running(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    config = tmp_path / "haproxy.cfg"
    lines = [line.format(folder=tmp_path).replace("9101", "29101").replace("8404", "28404") for line in SERVES]
    config.write_text("\n".join(["global", f"    stats socket {tmp_path}/admin.sock", *lines]) + "\n")
    environment = os.environ | {HAPROXY_BINDS: "127.0.0.1:28000"}
    process = subprocess.Popen([COMMAND, "-db", "-f", str(config)], env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not (tmp_path / "admin.sock").exists() and time.monotonic() < until:
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


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

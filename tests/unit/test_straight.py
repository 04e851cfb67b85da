"""What calls the service on its own machine goes straight there, whatever proxy the environment names."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.launcher.health import is_ready

ROOT = Path(__file__).parents[2]
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /readyz as a service that is ready, and all else as one that is not."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on stderr."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_the_launcher_asks_straight_whether_the_service_is_ready(url: str) -> None:
    assert is_ready(f"{url}/readyz")
    assert not is_ready(f"{url}/pool")
    assert not is_ready("http://127.0.0.1:9/readyz")


def test_the_images_health_check_does_so_too(url: str) -> None:
    (check,) = re.findall(r"^HEALTHCHECK.* CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    python, *arguments = json.loads(check)
    assert python == "python"
    for path, code in (("/readyz", 0), ("/pool", 1)):
        done = subprocess.run([sys.executable, *arguments, f"{url}{path}"], cwd=ROOT, check=False)
        assert done.returncode == code


@pytest.mark.parametrize("before", ["", "example.org,10.0.0.0/8"])
def test_under_make_every_client_does(url: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if before:
        monkeypatch.setenv("NO_PROXY", before)
    rule = "show:\n\t@echo $$no_proxy; echo $$NO_PROXY\n"
    command = ["make", "--no-print-directory", "-f", "Makefile", "-f", "-", "show"]
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    said = subprocess.run(command, cwd=ROOT, input=rule, env=environ, capture_output=True, text=True, check=True)
    lower, upper = said.stdout.split()
    assert lower == upper
    assert lower.endswith(before)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/readyz")
    monkeypatch.setenv("no_proxy", lower)
    assert httpx.get(f"{url}/readyz").status_code == 200
    assert httpx.get(f"{url.replace('127.0.0.1', 'localhost')}/readyz").status_code == 200

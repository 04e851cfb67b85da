"""API keys on the real service: a key file through the launcher into the replicas, and limits a caller at a time."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests

from deployments.config.api_keys import VARIABLE
from harness import bounds
from harness.callers import LONG_JOB, open_request
from harness.config import changed_config
from harness.processes import wait_until
from harness.service import Service, launched
from tests.serve.callers import make_key
from tests.serve.real_clients import CLIENTS

SMALL_JOB = {"sequence_size": 10, "num_sequences": 1}


ALICE, ALICES_LINE = make_key("alice")
BOB, BOBS_LINE = make_key("bob")
CAROL, CAROLS_LINE = make_key("carol")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"# who may call\n{ALICES_LINE}\n{BOBS_LINE}\n")
    return path


@pytest.fixture(scope="module")
def guarded(key_file: Path) -> Iterator[Service]:
    with launched("--cpus", "2", "--api-keys-file", str(key_file)) as started:
        yield started


def caller(service: Service, key: str) -> httpx.Client:
    return httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def test_only_who_has_a_key_may_call(guarded: Service) -> None:
    with caller(guarded, ALICE) as alice, caller(guarded, f"{ALICE}x") as mallory, caller(guarded, BOB) as bob:
        assert alice.post("/fibonacci", json=SMALL_JOB).raise_for_status().json()["sizes"] == [10]
        assert bob.get("/pool").status_code == 200
        for answer in (mallory.post("/fibonacci", json=SMALL_JOB), mallory.get("/pool")):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Bearer realm="fibonacci", error="invalid_token"'
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
        no_key = httpx.get(f"{guarded.url}/pool")
        assert (no_key.status_code, no_key.headers["www-authenticate"]) == (401, 'Bearer realm="fibonacci"')
        for path in ("/livez", "/readyz", "/docs", "/openapi.json", "/problems", "/problems/caller-limit"):
            assert httpx.get(guarded.url + path).status_code == 200
        assert httpx.get(guarded.url).status_code == 200
        assert httpx.get(f"{guarded.url}/timeline").status_code == 401


def test_a_users_netrc_file_is_what_the_refusal_speaks_of(
    guarded: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    answer = requests.get(f"{guarded.url}/pool", headers={"Authorization": f"Bearer {ALICE}"}, timeout=10)
    assert (answer.status_code, "Basic was sent instead" in answer.json()["detail"]) == (401, True)


def test_a_caller_without_a_key_is_refused_before_its_body_is_there(guarded: Service) -> None:
    url = httpx.URL(guarded.url)
    with socket.create_connection((url.host, url.port or 80), timeout=5) as connection:
        head = ("POST /fibonacci HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 1000000000")
        connection.sendall("\r\n".join((*head, "", "")).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_caller_without_a_key_reads_so_whatever_it_sends(guarded: Service) -> None:
    assert CLIENTS["urllib"](f"{guarded.url}/fibonacci", 8_000_000, 5) == [401] * 5


def test_a_caller_that_floods_is_stopped_and_another_is_not(guarded: Service) -> None:
    with caller(guarded, ALICE) as alice, caller(guarded, BOB) as bob:
        with open_request(guarded, LONG_JOB, key=ALICE):
            wait_until(lambda: alice.get("/pool").json()["unfinished_jobs"] == 1, 10, "alice's job runs")
            refused = alice.post("/fibonacci", json=LONG_JOB)
            assert (refused.status_code, refused.json()["type"]) == (429, "/problems/caller-limit")
            assert int(refused.headers["retry-after"]) == refused.json()["retry_after_seconds"] >= 1
            answer = bob.post("/fibonacci", json={"sequence_size": 100_000, "num_sequences": 4})
            assert answer.raise_for_status().json()["sizes"] == [100_000] * 4
        wait_until(lambda: alice.get("/pool").json()["unfinished_jobs"] == 0, 10, "alice's job is gone")


def test_keys_can_be_changed_while_the_service_runs(guarded: Service, key_file: Path) -> None:
    def statuses() -> tuple[int, int, int]:
        with caller(guarded, ALICE) as alice, caller(guarded, BOB) as bob, caller(guarded, CAROL) as carol:
            found = [client.get("/pool").status_code for client in (alice, bob, carol)]
        return found[0], found[1], found[2]

    before = key_file.read_text()
    try:
        assert statuses() == (200, 200, 401)
        key_file.with_name("new").write_text(f"{ALICES_LINE}\n{CAROLS_LINE}\n")
        key_file.with_name("new").rename(key_file)
        wait_until(lambda: statuses() == (200, 401, 200), bounds.KEYS_CHANGED, "carol for bob")
        key_file.write_text("alice:secret\n")
        wait_until(lambda: "the API keys stay as they were" in logged(guarded), bounds.KEYS_CHANGED, "it says so")
        assert statuses() == (200, 401, 200)
        assert logged(guarded).count("the API keys stay as they were") == 1
    finally:
        key_file.write_text(before)
    wait_until(lambda: statuses() == (200, 200, 401), bounds.KEYS_CHANGED, "as before")


def logged(service: Service) -> str:
    """What the ingress has logged so far."""
    logs = service.logs
    return "".join(path.read_text() for path in (logs / "serve").glob("replica_*FibonacciIngress*.log"))


def test_no_key_stands_in_any_log(guarded: Service) -> None:
    logs = guarded.logs
    with caller(guarded, ALICE) as alice, caller(guarded, f"{ALICE}x") as mallory:
        assert (alice.get("/nothing").status_code, mallory.get("/nothing").status_code) == (404, 401)
        assert alice.post("/fibonacci", json={"sequence_size": ALICE}).status_code == 422
    files = [path for path in logs.rglob("*") if path.is_file()]
    secrets = [ALICE.encode(), BOB.encode(), ALICES_LINE[-64:].encode(), BOBS_LINE[-64:].encode()]
    assert not [path for path in files for secret in secrets if secret in path.read_bytes()]


@pytest.mark.parametrize(
    ("host", "environment", "warnings"),
    [
        ("127.0.0.1", {}, []),
        ("0.0.0.0", {}, ["there are no API keys: anyone who reaches it can use the service"]),  # noqa: S104 (what is warned of)
        ("0.0.0.0", {VARIABLE: ALICES_LINE}, ["HTTP is not encrypted"]),  # noqa: S104 (what is warned of)
    ],
)
def test_the_launcher_warns_once_of_listening_beyond_loopback(
    host: str, environment: dict[str, str], warnings: list[str]
) -> None:
    """With settings that it refuses after that, so that nothing listens there."""
    with changed_config(lambda config: config["applications"][0]["args"].update(max_queued_jobs=0)) as path:
        command = [sys.executable, "-m", "deployments.launch", "--host", host, "--port", "0", "--config", str(path)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, env=os.environ | environment
        )
    *said, starting, error = done.stdout.splitlines()
    assert [text in line for text, line in zip(warnings, said, strict=True)] == [True] * len(warnings)
    assert all(line.startswith(f"warning: {host} is not loopback") for line in said)
    assert starting.startswith("starting on http://127.0.0.1:")
    assert error.startswith("error: the configuration is invalid: max_queued_jobs")


@pytest.mark.parametrize("broken", ["alice:secret", "", None])
def test_a_broken_key_file_is_one_clear_error_and_no_service(broken: str | None, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    if broken is not None:
        path.write_text(broken)
    command = [sys.executable, "-m", "deployments.launch", "--port", "0", "--api-keys-file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("error: ")
    assert str(path) in done.stdout
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert "secret" not in done.stdout

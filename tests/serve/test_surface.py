"""What the service shows to whom: ports, who may use them, files, response headers."""

import contextlib
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from ray.serve.generated import serve_pb2

from harness.processes import descendants
from harness.service import Service
from tests.serve.listening import check_listening, listeners

WRONG_TOKEN = 64 * "0"
CORE_WORKER = "/ray.rpc.CoreWorkerService/GetCoreWorkerStats"
AGENT_HTTP_PORT = 52365
REPLICA = "/ray.serve.ASGIService/HandleRequest"


def call(port: int, method: str, body: bytes = b"", token: str = "") -> str:
    """The gRPC status of one call."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        invoke = channel.unary_unary(method, request_serializer=None, response_deserializer=None)
        try:
            invoke(body, timeout=5, metadata=(("authorization", f"Bearer {token}"),) if token else ())
        except grpc.RpcError as error:
            status: Any = error
            return str(status.code().name)
    return "OK"


def token_of(service: Service) -> str:
    return (service.folder / "auth_token").read_text().strip()


def ports_of(service: Service, kind: str) -> list[int]:
    return [port for listener in listeners(service.process.pid) if listener.kind == kind for port in listener.ports]


def test_what_listens_is_what_security_md_lists(service: Service) -> None:
    check_listening(service.process.pid, "launcher")


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("GCS", "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"),
        ("GCS", "/ray.rpc.InternalKVGcsService/InternalKVKeys"),
        ("raylet", "/ray.rpc.NodeManagerService/GetNodeStats"),
        ("agent", "/ray.rpc.ReporterService/HealthCheck"),
        ("launcher", CORE_WORKER),
        ("controller", CORE_WORKER),
        ("HAProxy manager", CORE_WORKER),
        ("fallback proxy", CORE_WORKER),
        ("ingress", CORE_WORKER),
        ("worker", CORE_WORKER),
        ("keeper", CORE_WORKER),
        ("ingress", REPLICA),
        ("worker", REPLICA),
        ("keeper", REPLICA),
    ],
)
def test_rays_grpc_wants_the_token(service: Service, kind: str, method: str) -> None:
    ports = ports_of(service, kind)
    refused = [port for port in ports if call(port, method) == "UNAUTHENTICATED"]
    assert refused
    assert all(call(port, method, token=WRONG_TOKEN) == "UNAUTHENTICATED" for port in refused)
    assert not any(call(port, method, token=token_of(service)) == "UNAUTHENTICATED" for port in refused)


def test_a_raylet_hands_out_no_object_without_the_token(service: Service) -> None:
    pull = "/ray.rpc.ObjectManagerService/Pull"  # with the token, and no object's id, it could end the raylet
    for wrong in ("", WRONG_TOKEN):
        statuses = [call(port, pull, token=wrong) for port in ports_of(service, "raylet")]
        assert sorted(statuses) == ["UNAUTHENTICATED", "UNIMPLEMENTED"]


@pytest.mark.parametrize("kind", ["agent", "runtime environment agent"])
def test_rays_http_wants_the_token(service: Service, kind: str) -> None:
    refused = []
    ports = ports_of(service, kind)
    if kind == "agent" and AGENT_HTTP_PORT not in ports:
        pytest.skip("another cluster on this machine has the agent's port")
    for port in ports:
        with contextlib.suppress(httpx.RemoteProtocolError):  # it speaks gRPC
            url = f"http://127.0.0.1:{port}/api/jobs/"
            if httpx.get(url).status_code == 401:
                refused.append(url)
    (url,) = refused
    assert httpx.get(url, headers={"Authorization": f"Bearer {WRONG_TOKEN}"}).status_code in (401, 403)
    assert httpx.get(url, headers={"Authorization": f"Bearer {token_of(service)}"}).status_code not in (401, 403)


class MakesFile:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(self._path),)


@pytest.mark.parametrize("kind", ["ingress", "worker", "keeper"])
def test_a_replica_unpickles_only_what_comes_with_the_token(service: Service, tmp_path: Path, kind: str) -> None:
    (port, *_) = [port for port in ports_of(service, kind) if call(port, REPLICA) == "UNAUTHENTICATED"]
    path = tmp_path / "made"
    request = serve_pb2.ASGIRequest(pickled_request_metadata=pickle.dumps(MakesFile(path)))  # type: ignore[attr-defined]
    body = request.SerializeToString()
    assert call(port, REPLICA, body) == "UNAUTHENTICATED"
    assert call(port, REPLICA, body, token=WRONG_TOKEN) == "UNAUTHENTICATED"
    assert not path.exists()
    call(port, REPLICA, body, token=token_of(service))
    assert path.exists(), "the attack itself does not work: the test would see nothing"


def test_what_rules_the_cluster_is_its_users_only(service: Service) -> None:
    (haproxy, *_) = descendants(service.process.pid, "haproxy.cfg")
    configuration = Path(next(argument for argument in haproxy.cmdline() if argument.endswith("haproxy.cfg")))
    assert configuration.is_relative_to(service.folder)
    for path in (service.folder, service.folder / "auth_token", service.folder / "plan.json"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_no_answer_tells_a_version_and_none_is_for_another_site(client: httpx.Client) -> None:
    origin = {"Origin": "http://elsewhere.example"}
    preflight = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answers = [
        client.options("/fibonacci", headers=preflight),
        client.post("/fibonacci", json={"sequence_size": 1}, headers=origin),
        client.post("/fibonacci", json={"sequence_size": -1}, headers=origin),
        client.get("/docs", headers=origin),
        client.get("/-/healthz", headers=origin),
        client.get("/-/routes", headers=origin),
    ]
    assert [answer.status_code for answer in answers] == [405, 200, 422, 200, 200, 200]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers.get("server", "uvicorn") == "uvicorn"
        assert "x-powered-by" not in answer.headers
    for answer in answers[:4]:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"

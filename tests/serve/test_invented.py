"""Nothing that a caller invents is kept: no process grows by it, and no metric gets its name."""

from collections.abc import Callable

import httpx
import psutil
import pytest

from harness import bounds
from harness.processes import descendants
from harness.raw_socket import RawConnection, request
from harness.service import Service
from tests.serve.listening import listeners

NUMBER = 1_500
LENGTH = 47

INVENTED: dict[str, Callable[[bytes], bytes]] = {
    "method": lambda name: request(b"", line=name + b" /livez HTTP/1.1"),
    "path": lambda name: request(line=b"POST /" + name + b" HTTP/1.1"),
    "problem": lambda name: request(b"", line=b"GET /problems/" + name + b" HTTP/1.1"),
    "query": lambda name: request(b"", line=b"GET /livez?" + name + b" HTTP/1.1"),
    "header": lambda name: request(b"", line=b"GET /livez HTTP/1.1", headers=b"X-" + name + b": 1\r\n"),
    "host": lambda name: request(b"", line=b"GET /livez HTTP/1.1").replace(b"Host: x", b"Host: " + name),
    "request id": lambda name: request(b"", line=b"GET /livez HTTP/1.1", headers=b"X-Request-Id: " + name + b"\r\n"),
    "field": lambda name: request(b'{"' + name + b'": 1}'),
}


def invented(kind: str, number: int) -> bytes:
    """A request with a name that nobody has used."""
    letters = "".join(chr(ord("A") + int(digit)) for digit in str(number))
    return INVENTED[kind](f"{kind.replace(' ', '')}-{letters}".upper().ljust(LENGTH, "X").encode())


def resident_bytes(service: Service) -> dict[str, int]:
    """Of every process that could keep something, by its title."""
    titles = ("DashboardAgent", "HAProxyManager", "FibonacciIngress", "ProxyActor", "ServeController")
    found = {title: descendants(service.process.pid, f"ray::{title}") for title in titles[:2]}
    found |= {title: descendants(service.process.pid, title) for title in titles[2:]}
    return {title: sum(map(_rss, processes)) for title, processes in found.items()}


def _rss(process: psutil.Process) -> int:
    rss: int = process.memory_info().rss
    return rss


def exported(service: Service) -> str:
    """What the agent tells Prometheus."""
    (agent,) = [listener for listener in listeners(service.process.pid) if listener.kind == "agent"]
    for port in agent.ports:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
        except httpx.HTTPError:  # it speaks gRPC
            continue
        if "ray_serve" in answer.text:
            return answer.text
    raise AssertionError("no metrics")


def send_all(service: Service, kind: str, first: int, number: int) -> None:
    """One after the other, each on a connection of its own: some answers end it."""
    for i in range(first, first + number):
        with RawConnection(service.url) as connection:
            connection.send(invented(kind, i))
            assert 200 <= connection.answer().status < 500


@pytest.mark.parametrize("kind", INVENTED)
def test_no_process_grows_by_what_callers_invent(service: Service, kind: str) -> None:
    send_all(service, kind, 100_000, 200)  # warm
    before = resident_bytes(service)
    send_all(service, kind, 200_000, NUMBER)
    after = resident_bytes(service)
    assert all(after[title] - before[title] < bounds.MEMORY_FLAT for title in before), (before, after)


def test_no_metric_has_a_name_that_a_caller_invented(service: Service) -> None:
    for kind in INVENTED:
        send_all(service, kind, 0, 20)
    text = exported(service)
    assert 'method="POST"' in text  # it does tell methods
    assert not [kind for kind in INVENTED if f"{kind.replace(' ', '')}-".upper() in text]

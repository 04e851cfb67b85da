"""Where the service listens, looked at from another host."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.service import Service, launched
from tests.places.hosts import Host, two_hosts
from tests.places.needs import needs_root, needs_tool

NAME = "fibonacci.example"
LOOK = """
import sys
from tests.serve.listening import check_listening, listeners
check_listening(int(sys.argv[1]), "launcher", "all")
print(*(port for each in listeners(int(sys.argv[1])) for port in each.ports))
"""
"""Run on the host itself: sockets are seen only from their own network namespace."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    needs_root()
    for tool in ("ip", "curl"):
        needs_tool(tool)
    with two_hosts(NAME) as pair:
        yield pair


def launched_on(server: Host, host: str) -> Iterator[tuple[Service, str]]:
    with launched("--cpus", "1", "--host", host, within=server.within) as service:
        yield service, service.url.rpartition(":")[2]


@pytest.fixture(scope="module")
def everywhere(hosts: tuple[Host, Host]) -> Iterator[tuple[Service, str]]:
    yield from launched_on(hosts[0], "::")


@pytest.fixture(scope="module")
def one_address(hosts: tuple[Host, Host]) -> Iterator[tuple[Service, str]]:
    yield from launched_on(hosts[0], NAME)


def test_the_ipv6_wildcard_takes_both_families_from_another_host_too(
    hosts: tuple[Host, Host], everywhere: tuple[Service, str]
) -> None:
    server, client = hosts
    _, port = everywhere
    body = ("-H", "Content-Type: application/json", "-d", '{"sequence_size": 10}')
    for host in (server.ipv4, f"[{server.ipv6}]"):
        assert client.status(f"http://{host}:{port}/fibonacci", *body) == "200"
    for host in ("127.0.0.1", "[::1]", server.ipv4):
        assert server.status(f"http://{host}:{port}/readyz") == "200"


def test_only_the_api_can_be_reached_from_another_host(
    hosts: tuple[Host, Host], everywhere: tuple[Service, str]
) -> None:
    server, client = hosts
    service, port = everywhere
    looked = server.run(sys.executable, "-c", LOOK, str(service.process.pid), timeout_seconds=40)
    assert looked, "what listens is not what SECURITY.md lists"
    ports = looked.split()
    assert len(ports) > 10
    speaking = [other for other in ports if client.status(f"http://{server.ipv4}:{other}/livez") != "000"]
    assert speaking == [port]


def test_a_name_is_its_address_and_no_other(hosts: tuple[Host, Host], one_address: tuple[Service, str]) -> None:
    server, client = hosts
    service, port = one_address
    assert service.url == f"http://{server.ipv4}:{port}"
    assert client.status(f"{service.url}/readyz") == server.status(f"{service.url}/readyz") == "200"
    for host in ("127.0.0.1", "[::1]", f"[{server.ipv6}]"):
        assert server.status(f"http://{host}:{port}/livez") == "000"
    assert client.status(f"http://[{server.ipv6}]:{port}/livez") == "000"


def test_the_line_that_the_launcher_prints_works_there(
    hosts: tuple[Host, Host], one_address: tuple[Service, str]
) -> None:
    service, _ = one_address
    (line,) = [line.removeprefix("try: ") for line in service.output if line.startswith("try: ")]
    assert "sizes" in hosts[1].run("bash", "-c", f"http_proxy=http://127.0.0.1:9 {line}")


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "224.0.0.1", "no-such-name.invalid", "fe80::1%lo"])
def test_an_address_that_the_host_does_not_have_is_refused_at_once(host: str, hosts: tuple[Host, Host]) -> None:
    command = [*hosts[0].within, sys.executable, "-m", "deployments.launch", "--host", host, "--port", "8000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("error: cannot listen on ")
    assert len(done.stdout.splitlines()) == 1

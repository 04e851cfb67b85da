"""Where the API listens: what a host may be, and how HAProxy and this machine write it."""

import socket

import pytest

from deployments.launcher.addresses import Address, resolve
from deployments.launcher.ports import PortTakenError, claimed

FREE = 0
"""Any free port."""


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        (None, ("127.0.0.1",)),
        ("127.0.0.2", ("127.0.0.2",)),
        ("127.1", ("127.0.0.1",)),
        ("0.0.0.0", ("0.0.0.0",)),  # noqa: S104 (nobody listens)
        ("::", ("::",)),
        ("::1", ("::1",)),
        ("[::1]", ("::1",)),
        ("0:0:0:0:0:0:0:1", ("::1",)),
        ("::ffff:127.0.0.1", ("127.0.0.1",)),
    ],
)
def test_a_host_is_what_it_resolves_to_here(host: str | None, hosts: tuple[str, ...]) -> None:
    assert resolve(host, FREE).hosts == hosts


def test_a_name_is_every_address_that_it_has_here(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["127.0.0.1", "::1", "127.0.0.1", "192.0.2.1"]  # the last is nobody's
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    assert resolve("here", FREE).hosts == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "2001:db8::1", "224.0.0.1", "255.255.255.255", "no.such.invalid", "é\0", "fe80::1%lo", "-"]
)
def test_what_is_not_here_is_refused_in_one_line(host: str) -> None:
    with pytest.raises(PortTakenError, match=r"^cannot listen on .+: .+$"):
        resolve(host, FREE)


def test_a_port_that_is_taken_on_one_address_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(PortTakenError, match="Address already in use"):
            resolve("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(PortTakenError, match="Address already in use"):
            resolve("0.0.0.0", taken.getsockname()[1])  # noqa: S104 (nobody listens)


@pytest.mark.parametrize(
    ("hosts", "url", "binds", "is_loopback"),
    [
        (("127.0.0.1",), "http://127.0.0.1:8000", ("127.0.0.1:8000",), True),
        (("127.0.0.2", "::1"), "http://127.0.0.2:8000", ("127.0.0.2:8000", "[::1]:8000"), True),
        (("::",), "http://[::1]:8000", ("[::]:8000 v4v6",), False),
        (("0.0.0.0",), "http://127.0.0.1:8000", ("0.0.0.0:8000",), False),  # noqa: S104 (nobody listens)
        (("192.0.2.1",), "http://192.0.2.1:8000", ("192.0.2.1:8000",), False),
        (("::1", "2001:db8::1"), "http://[::1]:8000", ("[::1]:8000", "[2001:db8::1]:8000"), False),
    ],
)
def test_an_address_is_written_as_haproxy_and_a_client_want_it(
    hosts: tuple[str, ...], url: str, binds: tuple[str, ...], is_loopback: bool
) -> None:
    address = Address(hosts, 8000)
    assert (address.url, address.binds, address.is_loopback) == (url, binds, is_loopback)


def test_only_one_launcher_at_a_time_gets_a_port_of_an_address() -> None:
    with claimed(["127.0.0.1"], 8000):
        refused = pytest.raises(PortTakenError, match=r"^cannot listen on 127.0.0.1:8000: Address already in use$")
        with refused, claimed(["127.0.0.2", "127.0.0.1"], 8000):
            pass
        with claimed(["127.0.0.2"], 8000), claimed(["127.0.0.1"], 8001):
            pass
    with claimed(["127.0.0.1"], 8000):
        pass

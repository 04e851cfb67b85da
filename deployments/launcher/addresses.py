"""Where the HTTP API listens: the one place that knows what a host may be.

Only HAProxy's API port follows the host; everything behind HAProxy stays on loopback.
"""

import ipaddress
import socket
from dataclasses import dataclass

from deployments.launcher.ports import PortTakenError, check_free, explained, free_port

LOOPBACK = "127.0.0.1"
WILDCARDS = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 (nothing is bound here)
"""Each with the address at which this machine reaches itself."""


@dataclass(frozen=True, slots=True)
class Address:
    """One port on the addresses that a host has here."""

    hosts: tuple[str, ...]
    """Numeric; at least one."""
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return all(ipaddress.ip_address(host).is_loopback for host in self.hosts)

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        return f"http://{_in_url(WILDCARDS.get(self.hosts[0], self.hosts[0]))}:{self.port}"

    @property
    def binds(self) -> tuple[str, ...]:
        """As in HAProxy's configuration; the IPv6 wildcard takes IPv4 too, whatever the kernel's default is."""
        return tuple(f"{_in_url(host)}:{self.port}" + (" v4v6" if host == "::" else "") for host in self.hosts)


def resolve(host: object, port: object) -> Address:
    """The addresses that this host, or its name, has on this machine; port 0 means any that is free on all of them.

    Raises ``PortTakenError`` if one cannot listen there, ``ValueError`` if they are not a host and a port.
    """
    host = host or LOOPBACK
    port = 8000 if port is None else port
    if not isinstance(host, str):
        raise ValueError(f"host {host!r} is not a string")  # noqa: TRY004 (both are what a person wrote)
    if type(port) is not int or not 0 <= port <= 65_535:  # `type`: True is an int
        raise ValueError(f"port {port!r} is not a number from 0 to 65535")
    hosts = _hosts(host.strip().removeprefix("[").removesuffix("]"), port)
    return Address(hosts, port or _port_for_all(hosts))


def _hosts(name: str, port: int) -> tuple[str, ...]:
    """Those of the name's addresses that this machine has; for a numeric address, that one."""
    with explained(name, port):
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    hosts: list[str] = []
    problem = PortTakenError(f"cannot listen on {name}:{port}: it has no address")
    for each in found:
        try:
            host = _plain(str(each[4][0]))
            _check_here(host, port)
        except PortTakenError as error:
            problem = error
        else:
            hosts += [host] if host not in hosts else []
    if not hosts:
        raise problem
    return tuple(hosts)


def _plain(text: str) -> str:
    if "%" in text:
        raise PortTakenError(f"cannot listen on {text}: HAProxy does not accept link-local addresses")
    address = ipaddress.ip_address(text)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _check_here(host: str, port: int) -> None:
    """Raise ``PortTakenError`` unless one can listen there, and be reached: not so at a multicast address, say."""
    check_free(host, port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with explained(host, port), socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen(1)
        client.settimeout(1)
        client.connect((WILDCARDS.get(host, host), server.getsockname()[1]))


def _port_for_all(hosts: tuple[str, ...]) -> int:
    for _ in range(20):
        port = free_port(hosts[0])
        try:
            for host in hosts[1:]:
                check_free(host, port)
        except PortTakenError:
            continue
        return port
    raise PortTakenError(f"no port is free on all of {', '.join(hosts)}")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host

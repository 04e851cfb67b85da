"""Ports that are free: so that several copies of the service can run on one machine."""

import contextlib
import random
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
CHOSEN = range(20_000, 32_000)
"""Where ports are chosen, except the kernel's ephemeral ones: above what Ray gives its workers by default."""


class PortTakenError(Exception):
    """Nothing can listen there, mostly because somebody else does; the message is for a person."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago. Raises ``PortTakenError`` if there is no such host."""
    return free_port_range(1, host)


def free_port_range(count: int, host: str = "127.0.0.1") -> int:
    """The first of ``count`` ports in a row that were free a moment ago, none of them ephemeral.

    Whoever binds port 0, as Ray does some sixty times while it starts, and every outgoing connection gets an ephemeral
    one: between a choice and HAProxy's bind lie 15 to 60 s.
    """
    check_free(host, 0)
    candidates = [first for first in _candidates() if first + count - 1 <= 65_535]
    for first in random.sample(candidates, min(200, len(candidates))):
        with contextlib.suppress(PortTakenError):
            for port in range(first, first + count):
                check_free(host, port)
            return first
    raise PortTakenError(f"no {count} free ports in a row on {host}")


def _candidates() -> list[int]:
    """Ports that the kernel does not hand out by itself; if it hands out nearly all, some that it may."""
    low, high = 32_768, 60_999
    with contextlib.suppress(OSError, ValueError):
        low, high = map(int, EPHEMERAL.read_text().split())
    for ports in (CHOSEN, range(1_024, 65_000)):
        if outside := [port for port in ports if not low - 128 <= port <= high]:
            return outside
    return list(CHOSEN)


def check_free(host: str, port: int) -> None:
    """Raise ``PortTakenError`` unless one could listen on ``host:port`` now."""
    with explained(host, port), socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        probe.bind((host, port))


@contextlib.contextmanager
def claimed(hosts: Iterable[str], port: int) -> Iterator[None]:
    """Keep other launchers on this machine from the port on these hosts.

    HAProxy listens there only 15 to 60 s later. The names are of the network namespace, as ports are, and go with this
    process. Raises ``PortTakenError``.
    """
    with contextlib.ExitStack() as claims:
        for host in hosts:
            claim = claims.enter_context(socket.socket(socket.AF_UNIX))
            with explained(host, port):
                claim.bind(f"\0fibonacci-service {host} {port}")
        yield


@contextlib.contextmanager
def explained(host: str, port: int) -> Iterator[None]:
    """Raise ``PortTakenError`` for what a socket raises."""
    try:
        yield
    except OSError as error:
        raise PortTakenError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    except (TypeError, ValueError) as error:  # a text that cannot be a host's name
        raise PortTakenError(f"cannot listen on {host}:{port}: {error}") from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

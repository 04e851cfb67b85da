"""Ports that are free: so that several copies of the service can run on one machine."""

import contextlib
import random
import socket
from collections.abc import Iterator


class PortTakenError(Exception):
    """Nothing can listen there, mostly because somebody else does; the message is for a person."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago. Raises ``PortTakenError`` if there is no such host."""
    with _explained(host, 0), socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def free_port_range(count: int) -> int:
    """The first of ``count`` ports in a row that were free a moment ago, below Linux's ephemeral ones."""
    for _ in range(100):
        first = random.randrange(20_000, 32_000 - count)  # noqa: S311 (no secret)
        with contextlib.suppress(PortTakenError):
            for port in range(first, first + count):
                check_free("127.0.0.1", port)
            return first
    raise PortTakenError(f"no {count} free ports in a row")


def check_free(host: str, port: int) -> None:
    """Raise ``PortTakenError`` unless one could listen on ``host:port`` now."""
    with _explained(host, port), socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


@contextlib.contextmanager
def _explained(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PortTakenError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    except TypeError as error:  # a text that no host can have for its name
        raise PortTakenError(f"cannot listen on {host}:{port}: {error}") from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

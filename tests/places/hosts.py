"""Two hosts on one machine: network namespaces with a cable between them, and commands run on either."""

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IPV4, IPV6 = "10.77.0.{}", "fd77::{}"
_numbers = itertools.count()


@dataclass(frozen=True)
class Host:
    """A network namespace with an address of each family on the cable."""

    name: str
    number: int

    @property
    def ipv4(self) -> str:
        return IPV4.format(self.number)

    @property
    def ipv6(self) -> str:
        return IPV6.format(self.number)

    @property
    def within(self) -> tuple[str, ...]:
        """What a command is put behind to run there."""
        return ("ip", "netns", "exec", self.name)

    def run(self, *command: str, timeout_seconds: float = 20) -> str:
        """What the command prints there; empty if it fails."""
        done = subprocess.run(
            [*self.within, *command], capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        return done.stdout if done.returncode == 0 else ""

    def status(self, url: str, *options: str) -> str:
        """The HTTP status that a request from there gets; 000 if it gets none."""
        command = ["curl", "--globoff", "--silent", "--noproxy", "*", "--max-time", "5", *options]
        return self.run(*command, "--output", "/dev/null", "--write-out", "%{http_code}", url) or "000"


@contextlib.contextmanager
def two_hosts(*names: str) -> Iterator[tuple[Host, Host]]:
    """A server and a client; on the server each of ``names`` is its IPv4 address."""
    number = f"{os.getpid()}-{next(_numbers)}"
    server, client = hosts = (Host(f"fib-server-{number}", 1), Host(f"fib-client-{number}", 2))
    etc = Path("/etc/netns", server.name)
    try:
        for host in hosts:
            _ip("netns", "add", host.name)
        _ip("link", "add", "cable", "netns", server.name, "type", "veth", "peer", "name", "cable", "netns", client.name)
        for host in hosts:
            for device in ("lo", "cable"):
                _ip("-n", host.name, "link", "set", device, "up")
            _ip("-n", host.name, "address", "add", f"{host.ipv4}/24", "dev", "cable")
            _ip("-n", host.name, "address", "add", f"{host.ipv6}/64", "dev", "cable", "nodad")
        etc.mkdir(parents=True)
        (etc / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{server.ipv4} {name}\n" for name in names))
        yield server, client
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host.name], capture_output=True, check=False)
        (etc / "hosts").unlink(missing_ok=True)
        if etc.exists():
            etc.rmdir()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)

"""What listens under a launcher or `serve run`, process by process, and the table of it in SECURITY.md."""

import contextlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM

import psutil

from harness.processes import wait_until

SECURITY = (Path(__file__).parents[2] / "SECURITY.md").read_text()

KINDS = {
    r"deployments\.launcher\.cluster": "launcher",
    r"^\S*/raylet ": "raylet",  # first: the others' command lines are in its own
    r"^\S*/gcs_server ": "GCS",
    r"^\S*/haproxy ": "HAProxy",
    r"/monitor\.py ": "autoscaler",
    r"/dashboard\.py ": "dashboard",
    r"^ray::DashboardAgent": "agent",
    r"^ray::RuntimeEnvAgent": "runtime environment agent",
    r"^ray::ServeController": "controller",
    r"^ray::HAProxyManager": "HAProxy manager",
    r"^ray::ProxyActor": "fallback proxy",
    r"^ray::ServeReplica:fibonacci:FibonacciIngress": "ingress",
    r"^ray::ServeReplica:fibonacci:FibonacciWorker": "worker",
    r"^ray::ServeReplica:fibonacci:FibonacciKeeper": "keeper",
    r"^ray::IDLE": "idle worker",
}
COMES_AND_GOES = {"idle worker"}
FIXED_PORTS = {44217, 44227, 52365}
"""Of a second cluster on a machine nothing listens there: it does without those metrics, or the agent's HTTP."""


@dataclass(frozen=True)
class Listener:
    """A process with at least one port that can be connected to."""

    kind: str
    addresses: Counter[str]
    """In the table's words, with how many sockets each."""
    ports: tuple[int, ...]
    """TCP only."""


def listeners(pid: int) -> list[Listener]:
    """All under the launcher or `serve run` with this pid, itself included."""
    found = []
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            kind = "launcher" if process == root else _kind(" ".join(process.cmdline()) + " ")
            sockets = process.net_connections("inet")
            tcp = [s for s in sockets if s.status == psutil.CONN_LISTEN]
            udp = [s for s in sockets if s.type == SOCK_DGRAM]
            if tcp:  # an HAProxy that was replaced has none, and lives until its connections end
                names = [_name(s.laddr.ip) for s in tcp] + [_name(s.laddr.ip) + ", UDP" for s in udp]
                found.append(Listener(kind, Counter(names), tuple(s.laddr.port for s in tcp)))
    return found


def _kind(title: str) -> str:
    return next((kind for pattern, kind in KINDS.items() if re.search(pattern, title)), title)


def _name(address: str) -> str:
    address = address.removeprefix("::ffff:")
    if address in ("::", "0.0.0.0"):  # noqa: S104 (nothing is bound here)
        return "all"
    return address if address == "127.0.0.1" else "node"


def listed(column: str, own: list[Listener], host: str) -> dict[str, Counter[str]]:
    """The table: of each kind of process the addresses in ``column``, but not the rows of ports done without."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in SECURITY.splitlines() if line[:1] == "|"]
    place = rows[0].index(column)
    addresses: dict[str, Counter[str]] = {}
    for row in rows[2:]:
        port = re.search(r"port (\d+)$", row[1])
        for kind in row[0].split(", "):
            if row[place] != "-" and not (port and _does_without(kind, int(port[1]), own)):
                addresses.setdefault(kind, Counter())[row[place].replace("`HOST`", host)] += 1
    return addresses


def _does_without(kind: str, port: int, own: list[Listener]) -> bool:
    """Whether Ray does without this port, because somebody on the machine has it, or had it when Ray started."""
    return port in FIXED_PORTS and not any(port in process.ports for process in own if process.kind == kind)


def differences(pid: int, column: str, host: str) -> list[str]:
    """Between the table and what listens; a line each."""
    real = listeners(pid)
    table = listed(column, real, host)
    absent = table.keys() - COMES_AND_GOES - {process.kind for process in real}
    return [f"{kind}: listens nowhere" for kind in sorted(absent)] + [
        f"{process.kind}: {dict(process.addresses)}, not {dict(table.get(process.kind, {}))}"
        for process in real
        if process.addresses != table.get(process.kind)
    ]


def check_listening(pid: int, column: str, host: str = "127.0.0.1") -> None:
    """AssertionError if the table's column is not what listens; processes that start have a while to do so.

    ``host`` is what the table calls HOST, in its words.
    """
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not differences(pid, column, host), 15, column)
    if found := differences(pid, column, host):
        raise AssertionError("\n".join(found))

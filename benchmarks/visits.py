"""The peers that one round visits, one after another, and what it leaves out and why."""

from collections.abc import Callable, Iterable
from functools import partial

from benchmarks import batch, servers
from benchmarks.batch_peers import BATCH_PEERS, BatchPeer
from benchmarks.needs import Requirement, missing
from benchmarks.servers import SERVERS, Server
from benchmarks.workloads import QUICK, Effort

Visit = Callable[[int], Iterable[tuple[str, dict[str, float]]]]
"""Number of the visit (1, 2, ...) -> peers and their figures, round by round."""
FAILURES = (batch.VisitError, *servers.FAILURES)
PEERS: list[BatchPeer | Server] = [*BATCH_PEERS, *SERVERS]
LEFT_OUT = [
    "(a), (b), (c), (g) for LitServe: it distributes requests, not what is in one",
    "(g) for the tutorial-style Serve application: its queue of single sequences would take minutes",
]
LEFT_OUT_QUICK = [
    "(c) for those that run it whole, as the in-process loop does: a quick run has no time for it",
    "all rounds but one: a quick run shows that every part works, its figures are of a single round",
]


def all_visits(effort: Effort, *, everyone: bool) -> tuple[dict[str, Visit], list[str]]:
    """The visits by name, and a line for everything that is left out. ``everyone``: as with ``PEERS=all``."""
    visits: dict[str, Visit] = {}
    notes = LEFT_OUT + (LEFT_OUT_QUICK if effort is QUICK else [])
    for peer in PEERS:
        if note := _why_not(peer.name, peer.needs, effort, everyone=everyone):
            notes.append(f"{peer.name}: {note}")
        else:
            visits[peer.name] = partial(_visit, peer, effort)
    return visits, notes


def _visit(peer: BatchPeer | Server, effort: Effort, number: int) -> Iterable[tuple[str, dict[str, float]]]:
    if isinstance(peer, Server):
        return servers.visit(peer, effort, number)
    return ((peer.name, values) for values in peer.visit(effort, number))


def _why_not(name: str, needs: tuple[Requirement, ...], effort: Effort, *, everyone: bool) -> str | None:
    if name in effort.left_out:
        return "a quick run has no time for it"
    if needs and not everyone:
        return "comes with PEERS=all"
    return missing(needs)

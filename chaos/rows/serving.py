"""What stands before and over the workers: ingress, controller, HAProxy, proxy."""

import asyncio
import time

import httpx
import psutil

from chaos.caller import UnansweredError, get
from chaos.load import open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import OK, Record
from chaos.rows.workers import SETTLE_SECONDS
from chaos.stage import IDLE_CPU, Stage
from deployments.launched import Service
from tests.serve import bounds
from tests.serve.callers import LONG_JOB, open_request
from tests.serve.processes import alive

CONTROLLER, INGRESS = "ray::ServeController", "ray::ServeReplica:fibonacci:FibonacciIngress"
PROXY, HAPROXY = "ray::ProxyActor", "bin/haproxy"
"""Parts of command lines."""
HAPROXY_MANAGER = "ray::HAProxyManager"
"""Serve's actor that starts and configures HAProxy."""
BUSY = 0.4
"""Part of a CPU that a worker has when it computes, even beside other programs."""
PROCESS_BACK = 30.0
"""From a process's death to its successor's start."""


def controller_killed(stage: Stage, seconds: float = 25) -> Outcome:
    """Serve's controller: Ray starts it again."""
    record, killed = _kill_under_load(stage, CONTROLLER, seconds)
    return outcome_of(record, *killed, *stage.left_behind())


def haproxy_killed(stage: Stage, seconds: float = 45) -> Outcome:
    """The process that every request goes through."""
    return _proxy_killed(stage, HAPROXY, seconds)


def proxy_killed(stage: Stage, seconds: float = 45) -> Outcome:
    """Serve's own proxy: with HAProxy only a fallback, else what every request goes through."""
    return _proxy_killed(stage, PROXY, seconds)


def started_anyway(stage: Stage, seconds: float = 10) -> Outcome:
    """A start in which a proxy died: another has its place."""
    died = any("a proxy died as it started" in line for line in stage.service.output)
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(seconds)
    return outcome_of(record, Check("it says that a proxy died", died, 1, "="), *stage.left_behind())


def _proxy_killed(stage: Stage, title: str, seconds: float) -> Outcome:
    record, killed = _kill_under_load(stage, title, seconds)
    return outcome_of(
        record,
        Check("no success for, s", record.longest_gap, bounds.PROXY_BACK),
        *killed,
        *stage.left_behind(),
        may_fail=None,
    )


def _kill_under_load(stage: Stage, title: str, seconds: float) -> tuple[Record, list[Check]]:
    """The record, and whether there was something to kill, and how long it had no successor."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        victims = stage.processes(title)
        for victim in victims:
            victim.kill()
        begun = time.monotonic()
        back = stage.until(lambda: any(p not in victims for p in alive(stage.processes(title))), PROCESS_BACK)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - begun)))
    return record, [
        Check("killed", len(victims), 1, ">="),
        Check("its process back after, s", back, PROCESS_BACK),
    ]


def ingress_killed(stage: Stage, seconds: float = 25) -> Outcome:
    """One of two ingress replicas: only what was in flight on it fails."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        victim = stage.processes(INGRESS)[0]
        killed_at = _now_of(record)
        victim.kill()
        stage.until(lambda: not alive([victim]), 5)  # while it dies its socket still takes requests: they are on it too
        dead_at = _now_of(record)
        back = stage.until(lambda: _ingresses(stage) == 2, 60)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - back))
    return outcome_of(
        record,
        *in_flight_only(record, killed_at, dead_at),
        Check("two ingresses again after, s", back, bounds.INGRESS_REPLACED),
        *stage.left_behind(),
        may_fail=None,
    )


def ingress_orphans(stage: Stage) -> Outcome:
    """An ingress dies for whom all workers compute a long job, posted straight to its own port."""
    found = next(((p, port) for p in stage.processes(INGRESS) if (port := _http_port(p))), None)
    if found is None:
        raise RuntimeError("no ingress answers on a port of its own")
    victim, port = found
    with open_request(Service(f"http://127.0.0.1:{port}", stage.service.process), LONG_JOB):
        busy = stage.until(lambda: stage.busy_cpu(0.5) > BUSY * stage.num_workers, 15)
        victim.kill()
        idle_after = stage.until(lambda: stage.busy_cpu(0.25) <= IDLE_CPU, 30)
    stage.until(lambda: _ingresses(stage) == 2, 60)
    return Outcome(
        requests=1,
        failed=1,
        checks=[
            Check("workers compute after, s", busy, 15),
            Check("workers idle after, s", idle_after, bounds.ORPHANS_STOPPED),
            *stage.left_behind(),
        ],
    )


def in_flight_only(record: Record, killed_at: float, dead_at: float) -> list[Check]:
    """Whether only what was there when it was killed, or came until it was dead, failed, and as cut off."""
    failures = record.failures
    return [
        Check("failed that ended before it", sum((f.ended or 0.0) < killed_at for f in failures), 0, quiet=True),
        Check("failed that came after it", sum(f.due > dead_at for f in failures), 0),
        Check("failed but not cut off, nor 5xx", sum(not (f.error or (f.status or 0) >= 500) for f in failures), 0),
    ]


def _now_of(record: Record) -> float:
    """The due time of the request posted last: later ones came after now."""
    return record.requests[-1].due if record.requests else 0.0


def _ingresses(stage: Stage) -> int:
    try:
        return int(stage.pool()["ingress_replicas"])
    except (httpx.HTTPError, ValueError):
        return 0


def _http_port(ingress: psutil.Process) -> int | None:
    """Of the ports on which the replica listens, the one that answers HTTP; behind Serve's own proxy there is none."""
    listening = {c.laddr.port for c in ingress.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return next((port for port in sorted(listening) if _speaks_http(port)), None)


def _speaks_http(port: int) -> bool:
    try:
        return asyncio.run(get(f"http://127.0.0.1:{port}", "/livez", 2)).status == OK
    except (UnansweredError, ValueError, IndexError):
        return False

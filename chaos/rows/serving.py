"""What is in front of the workers and above them: ingress, controller, HAProxy, proxy."""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import psutil

from chaos.caller import UnansweredError, get
from chaos.load import all_at_once, open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import OK, Record
from chaos.rows.workers import HELD, SETTLE_SECONDS
from chaos.stage import IDLE_CPU, Stage
from harness import bounds
from harness.callers import LONG_JOB, is_ended_within, open_request
from harness.processes import alive
from harness.service import Service

CONTROLLER, INGRESS = "ray::ServeController", "ray::ServeReplica:fibonacci:FibonacciIngress"
PROXY, HAPROXY = "ray::ProxyActor", "bin/haproxy"
"""Parts of command lines."""
HAPROXY_MANAGER = "ray::HAProxyManager"
"""Serve's actor that starts and configures HAProxy."""
BUSY = 0.4
"""Part of a CPU that a worker has when it computes, even beside other programs."""
NOTICED_SECONDS = 0.1
"""For so long HAProxy may send a request to a dead ingress, on a kept connection whose end it has not read yet."""
PROCESS_BACK = 30.0
"""From a process's death to its successor's start."""


def controller_killed(stage: Stage, seconds: float = 25) -> Outcome:
    """Serve's controller: Ray starts it again."""
    record, _, killed = _kill_under_load(stage, CONTROLLER, seconds)
    return outcome_of(record, *killed, *stage.left_behind())


def haproxy_killed(stage: Stage, seconds: float = 45) -> Outcome:
    """The process that every request goes through."""
    return _proxy_killed(stage, HAPROXY, seconds)


def manager_killed(stage: Stage, seconds: float = 45) -> Outcome:
    """The actor that starts HAProxy, tells it about the ingresses, and ends with it."""
    return _proxy_killed(stage, HAPROXY_MANAGER, seconds)


def proxy_killed(stage: Stage, seconds: float = 45) -> Outcome:
    """Serve's own proxy: with HAProxy only a fallback, otherwise what every request goes through."""
    return _proxy_killed(stage, PROXY, seconds)


def started_anyway(stage: Stage, seconds: float = 10) -> Outcome:
    """A start in which a proxy died: another takes its place."""
    died = any("a proxy died as it started" in line for line in stage.service.output)
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(seconds)
    return outcome_of(record, Check("it says that a proxy died", died, 1, "="), *stage.left_behind())


def _proxy_killed(stage: Stage, title: str, seconds: float) -> Outcome:
    record, killed_at, killed = _kill_under_load(stage, title, seconds)
    before = sum((failure.ended or 0.0) < killed_at for failure in record.failures)
    after = sum(failure.due > killed_at + bounds.PROXY_BACK for failure in record.failures)
    return outcome_of(
        record,
        Check("no success for, s", record.longest_gap, bounds.PROXY_BACK),
        Check("failed before it was killed", before, 0, quiet=True),
        Check(f"failed that came {bounds.PROXY_BACK:g} s after it or later", after, 0, quiet=True),
        *killed,
        *stage.left_behind(),
        may_fail=None,
    )


def _kill_under_load(stage: Stage, title: str, seconds: float) -> tuple[Record, float, list[Check]]:
    """The record, when in it the kill was, and whether there was something to kill and how long it had no successor."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        victims = stage.processes(title)
        killed_at = _now_of(record)
        for victim in victims:
            victim.kill()
        begun = time.monotonic()
        back = stage.until(lambda: any(p not in victims for p in alive(stage.processes(title))), PROCESS_BACK)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - begun)))
    return (
        record,
        killed_at,
        [
            Check("killed", len(victims), 1, ">="),
            Check("its process back after, s", back, PROCESS_BACK),
        ],
    )


def ingress_killed(stage: Stage, seconds: float = 25) -> Outcome:
    """One of two ingress replicas: only what was in flight on it fails."""
    with open_loop(stage.url, stage.rate) as record, ThreadPoolExecutor(2) as callers:
        time.sleep(SETTLE_SECONDS)
        victim, other = stage.processes(INGRESS)
        on_victim, on_other = (_hold(callers, ingress) for ingress in (victim, other))
        time.sleep(1.0)
        killed_at = _now_of(record)
        victim.kill()
        stage.until(lambda: not alive([victim]), 5)  # while it dies its socket still takes requests: they are on it too
        dead_at = _now_of(record)
        back = stage.until(lambda: _ingresses(stage) == 2, 60)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - back))
    held = []
    if on_victim and on_other:  # behind Serve's own proxy they cannot be asked one by one
        lost, kept = on_victim.result(), on_other.result()
        held = [
            Check("of two jobs, one on each, failed that on it", len(lost.failures), 1, "="),
            Check("failed that on the other", len(kept.failures) + kept.num_wrong, 0),
        ]
    return outcome_of(
        record,
        *in_flight_only(record, killed_at, dead_at),
        *held,
        Check("two ingresses again after, s", back, bounds.INGRESS_REPLACED),
        *stage.left_behind(),
        may_fail=None,
    )


def _hold(callers: ThreadPoolExecutor, ingress: psutil.Process) -> "Future[Record] | None":
    """Post a job of some seconds directly to this ingress."""
    if (port := _http_port(ingress)) is None:
        return None
    return callers.submit(all_at_once, f"http://127.0.0.1:{port}", [HELD])


def ingress_orphans(stage: Stage) -> Outcome:
    """An ingress dies while all workers compute a long job for it, posted directly to its own port."""
    found = next(((p, port) for p in stage.processes(INGRESS) if (port := _http_port(p))), None)
    if found is None:
        raise RuntimeError("no ingress answers on a port of its own")
    victim, port = found
    with open_request(Service(f"http://127.0.0.1:{port}", stage.service.process), LONG_JOB) as connection:
        busy = stage.until(lambda: stage.busy_cpu(0.5) > BUSY * stage.num_workers, 15)
        victim.kill()
        idle_after = stage.until(lambda: stage.busy_cpu(0.25) <= IDLE_CPU, 30)
        cut_off = is_ended_within(connection, 1.0)
    stage.until(lambda: _ingresses(stage) == 2, 60)
    return Outcome(
        requests=1,
        failed=1,
        checks=[
            Check("workers compute after, s", busy, 15),
            Check("its caller is cut off", cut_off, 1, "="),
            Check("workers idle after, s", idle_after, bounds.ORPHANS_STOPPED),
            *stage.left_behind(),
        ],
    )


def in_flight_only(record: Record, killed_at: float, dead_at: float) -> list[Check]:
    """Whether only what was there when it was killed, or came until it was dead, failed, and as cut off."""
    failures = record.failures
    return [
        Check("failed that ended before it", sum((f.ended or 0.0) < killed_at for f in failures), 0, quiet=True),
        Check("failed that came after it", sum(f.due > dead_at + NOTICED_SECONDS for f in failures), 0),
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
    """The port of the replica's that answers HTTP; behind Serve's own proxy there is none."""
    listening = {c.laddr.port for c in ingress.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return next((port for port in sorted(listening) if _speaks_http(port)), None)


def _speaks_http(port: int) -> bool:
    try:
        return asyncio.run(get(f"http://127.0.0.1:{port}", "/livez", 2)).status == OK
    except (UnansweredError, ValueError, IndexError):
        return False

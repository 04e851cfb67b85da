"""More than the service can do, for minutes."""

import asyncio
import math
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import httpx
import psutil

from app.settings import Settings
from chaos.caller import UnansweredError, post
from chaos.load import open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import OK, TOO_MANY
from chaos.rows.serving import HAPROXY, INGRESS
from chaos.rows.timing import ADMITTED_SECONDS, BACK_SECONDS, Wait, health_checks, missed, probe_until
from chaos.stage import Stage
from harness import bounds
from harness.figures import percentile

TIMES_SUSTAINABLE = 10
TINY_JOB = {"sequence_size": 10, "num_sequences": 1}
TINY_JOBS = 9
MOST_LATE = 0.05
"""Seconds of the load generator's lateness that are forgiven."""
BACK_JOBS = (
    {"sequence_size": 1_000, "num_sequences": 1},
    {"sequence_size": 300_000, "num_sequences": 4},
)
"""The smallest and the largest kind of the load's mixture, in turn."""
MOST_BACK = 6
"""So many refused callers, one at a time, post their job again (every ``BACK_SECONDS``): no load beside the load."""
FILLING_SECONDS = 60.0
"""While the queue fills, what is half done is not answered: this does not count as work done."""
MAX_QUEUED_SECONDS = Settings().max_queued_seconds
IDLE_FACTOR = 2.0
IDLE_MARGIN_SECONDS = 0.01
"""Latency is idle again at twice the median before and this: what is left of the queue is still being computed."""


def overloaded(stage: Stage, seconds: float = 180) -> Outcome:
    """Ten times the sustainable load, in an open loop.

    Serve's own proxy, one Python process, cannot itself keep up: with it the figures are reported, not promised.
    """
    peak = stage.measured
    (ingress,) = stage.processes(INGRESS)
    idle = _tiny_job_seconds(stage)
    with (
        _peak_megabytes(ingress) as megabytes,
        ThreadPoolExecutor(2) as others,
        open_loop(stage.url, TIMES_SUSTAINABLE * stage.rate, seconds) as record,
    ):
        come_back = others.submit(lambda: asyncio.run(_come_back(stage.url, seconds)))
        until = time.monotonic() + seconds
        health = others.submit(lambda: asyncio.run(probe_until(stage.url, lambda: time.monotonic() > until)))
        time.sleep(FILLING_SECONDS)
        busy = stage.busy_cpu(seconds - FILLING_SECONDS)
        idle_after = stage.until(lambda: _tiny_job_seconds(stage) <= IDLE_FACTOR * idle + IDLE_MARGIN_SECONDS, 120)
    drained_after = max(request.ended or 0.0 for request in record.requests) - seconds
    counted = [r for r in record.succeeded if FILLING_SECONDS <= (r.ended or 0.0) <= seconds]
    jobs_per_second = len(counted) / (seconds - FILLING_SECONDS)
    work_per_second = sum(request.job.cost for request in counted) / (seconds - FILLING_SECONDS)
    slowest = max(request.seconds - request.job.cost for request in record.succeeded)
    refused = [(request.ended or 0.0) - request.sent for request in record.refused]
    late = percentile([request.sent - request.due for request in record.requests], 99)
    refused_limit = bounds.REFUSAL_P99 + min(late, MOST_LATE)  # the generator reads its answers as late as it sends
    waits = come_back.result()
    neither = [request for request in record.failures if request.status != TOO_MANY]
    promised = [
        Check("goodput / peak, jobs", jobs_per_second / peak.peak_per_second, bounds.OVERLOAD_GOODPUT, ">="),
        Check(
            "work / peak's, for each CPU that the workers get",
            work_per_second / busy / (peak.peak_cost / peak.peak_cpus),
            bounds.OVERLOAD_WORK,
            ">=",
        ),
        Check("slowest admitted beside its own time, s", slowest, bounds.OVERLOAD_WAIT * MAX_QUEUED_SECONDS),
        Check("429 p99, s", percentile(refused, 99) if refused else 0.0, refused_limit),
        Check("growth of the ingress, MB", max(megabytes) - megabytes[0], bounds.INGRESS_GROWTH_MB),
        Check("idle latency again after, s", idle_after, bounds.IDLE_AGAIN),
        *health_checks(health.result()),
    ]
    if not stage.processes(HAPROXY):
        promised = [replace(check, bound=None) for check in promised]
    outcome = outcome_of(
        record,
        Check("neither answered nor refused", len(neither), 0),
        *promised,
        Check("goodput / peak, work", work_per_second / peak.peak_cost),
        Check("CPUs of workers busy", busy),
        Check("at the peak", peak.peak_cpus),
        Check("refused", len(refused), 1, ">="),
        Check("429 p50, s", percentile(refused, 50) if refused else 0.0),
        Check("load generator late p99, s", late),
        Check("without Retry-After", sum(r.retry_after is None for r in record.refused), 0),
        Check("last answer after, s", drained_after),
        Check("refused callers that came back until they were let in", len(waits)),
        missed(waits),
        *stage.left_behind(),
        may_fail=None,
    )
    outcome.failed = len(neither)
    told = ", ".join(f"{wait.said:g} and {wait.real:.1f}" for wait in waits)
    outcome.notes += [f"Retry-After and the wait, s: {told}"] if waits else []
    return outcome


async def _come_back(url: str, seconds: float) -> list[Wait]:
    """Callers, one at a time, whose job is refused and who post it again and again until it is let in; then they leave.

    One that is not let in before the load ends is not counted: the end would have let it in.
    """
    waits: list[Wait] = []
    until = time.monotonic() + seconds
    said, refused_at = None, 0.0
    while time.monotonic() < until and len(waits) < MOST_BACK:
        posted_at = time.monotonic()
        try:
            answer = await post(url, BACK_JOBS[len(waits) % len(BACK_JOBS)], ADMITTED_SECONDS)
            let_in = answer.status == OK
        except UnansweredError:
            let_in = True
        if not let_in and said is None:
            said, refused_at = float(answer.headers["retry-after"]), posted_at
        elif let_in and said is not None:
            waits.append(Wait(said, posted_at - refused_at))
            said = None
        await asyncio.sleep(BACK_SECONDS)
    return waits


def _tiny_job_seconds(stage: Stage) -> float:
    """The median of a few, one after the other; infinite if most are refused."""
    seconds = []
    with httpx.Client(base_url=stage.url, timeout=30) as client:
        for _ in range(TINY_JOBS):
            begun = time.perf_counter()
            status = client.post("/fibonacci", json=TINY_JOB).status_code
            seconds.append(time.perf_counter() - begun if status == OK else math.inf)
    return statistics.median(seconds)


@contextmanager
def _peak_megabytes(process: psutil.Process) -> Iterator[list[float]]:
    """The process's resident memory now, and every half second while the block runs."""
    samples = [process.memory_info().rss / 1e6]
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.5):
            samples.append(process.memory_info().rss / 1e6)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()

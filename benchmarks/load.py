"""Load on an HTTP peer, from wrk or, where that is not installed, from locust."""

import asyncio

import httpx

from benchmarks import locust_load, wrk
from benchmarks.loads import LoadError
from benchmarks.needs import WRK
from benchmarks.workloads import TINY_JOB, Effort, Job, long_job

HELD_ARRIVALS_PER_SECOND = 20


def closed_loop(url: str, connections: int, seconds: float, job: Job = TINY_JOB) -> dict[str, float]:
    """Jobs, one after another on each connection."""
    if WRK.missing:
        return locust_load.closed_loop(url, connections, seconds, job=job)
    return wrk.closed_loop(url, connections, seconds, job)


def open_loop(url: str, rate: float, seconds: float, job: Job = TINY_JOB) -> dict[str, float]:
    """Jobs at a fixed rate, whether those before are answered or not."""
    if WRK.missing:
        return locust_load.open_loop(url, rate, seconds, job=job)
    return wrk.open_loop(url, rate, seconds, job)


def while_pool_is_held(url: str, effort: Effort) -> dict[str, float]:
    """Tiny jobs at a fixed rate while a long job holds every worker. Locust's: it counts what is never answered.

    A peer that has not answered so long after the last arrival is not waited for: its latencies are at least that.
    Raises ``LoadError`` if a request fails or the long job ends too soon.
    """
    return asyncio.run(_while_pool_is_held(url, effort))


async def _while_pool_is_held(url: str, effort: Effort) -> dict[str, float]:
    async with httpx.AsyncClient(timeout=600) as client:
        held = asyncio.create_task(client.post(url, json=long_job(effort.long_job_seconds)))
        figures = await asyncio.to_thread(
            locust_load.open_loop, url, HELD_ARRIVALS_PER_SECOND, effort.held_seconds, effort.held_linger_seconds
        )
        if held.done():
            raise LoadError(f"{url}: the long job ended too soon: {held.result().text[:200]}")
        held.cancel()  # the service notices and stops computing
        await asyncio.wait([held])
    return {name: figures[name] for name in ("p50_ms", "p99_ms")}

"""Load on an HTTP peer: wrk for closed loops, and tiny jobs at a fixed rate while a long one holds the pool."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.figures import percentile
from benchmarks.workloads import TINY_JOB, Effort, long_job

WRK = shutil.which("wrk")
ARRIVALS_PER_SECOND = 20
SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{json.dumps(TINY_JOB)}'
done = function(summary, latency)
  local errors = summary.errors
  print(string.format('{{"requests": %d, "us": %d, "p50": %d, "p99": %d, "errors": %d}}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


class LoadError(Exception):
    """Requests failed: the figures would mean nothing."""


def wrk(url: str, connections: int, seconds: float) -> dict[str, float]:
    """Tiny jobs in a closed loop. Raises ``LoadError`` if one fails."""
    with TemporaryDirectory(prefix="fibonacci-wrk-") as folder:
        script = Path(folder) / "tiny_job.lua"
        script.write_text(SCRIPT)
        options = [f"-c{connections}", "-t1", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
        assert WRK is not None  # noqa: S101 (for the type checker)
        done = subprocess.run([WRK, *options, url], capture_output=True, text=True, check=True)  # noqa: S603 (wrk, as found on PATH)
    result = json.loads(done.stdout.splitlines()[-1])
    if result["errors"] or not result["requests"]:
        raise LoadError(f"{url}: {result}")
    return {
        "requests_per_second": result["requests"] / result["us"] * 1e6,
        "p50_ms": result["p50"] / 1e3,
        "p99_ms": result["p99"] / 1e3,
    }


def while_pool_is_held(url: str, effort: Effort) -> dict[str, float]:
    """Tiny jobs at a fixed rate while a long job holds every worker; each counts from when it was due."""
    return asyncio.run(_while_pool_is_held(url, effort))


async def _while_pool_is_held(url: str, effort: Effort) -> dict[str, float]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=300, limits=limits) as client:
        held = asyncio.create_task(client.post(url, json=long_job(effort.long_job_seconds)))
        await asyncio.sleep(0.5)
        begin = time.perf_counter()
        due = [begin + i / ARRIVALS_PER_SECOND for i in range(round(effort.load_seconds * ARRIVALS_PER_SECOND))]
        latencies = await asyncio.gather(*(_tiny_job(client, url, at) for at in due))
        held.cancel()  # the service notices and stops computing
        await asyncio.wait([held])
    return {"p50_ms": percentile(latencies, 50), "p99_ms": percentile(latencies, 99)}


async def _tiny_job(client: httpx.AsyncClient, url: str, due: float) -> float:
    """Milliseconds from when it was due to its answer."""
    await asyncio.sleep(due - time.perf_counter())
    (await client.post(url, json=TINY_JOB)).raise_for_status()
    return (time.perf_counter() - due) * 1e3

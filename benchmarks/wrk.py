"""wrk, the load generator in C: jobs in a closed loop, or at a fixed rate in an open one.

wrk has no fixed rate of its own, but asks a script how long to wait before each request: the script gives out the
moments of one evenly spaced schedule to whichever connection is free. A latency counts from when the request was
sent; how long that was after it was due, for want of CPU or of a free connection, is a figure too.
"""

import json
import math
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.loads import LEAD_SECONDS, LINGER_SECONDS, LoadError
from benchmarks.needs import WRK
from benchmarks.workloads import TINY_JOB, Job

PERIOD_SECONDS = 1
"""In an open loop a connection sends at most one request in this time, so that an answer may take that long
without holding up an arrival."""
CLOSED = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local threads = {}
function setup(thread) threads[1] = thread end
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "us": %d, "p50": %d, "p99": %d, "p999": %d, "errors": %d, "late": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, threads[1]:get("late_us") or 0))
end
"""
OPEN = (
    CLOSED
    + f"""
local ffi = require("ffi")
ffi.cdef[[
  typedef struct {{ long seconds; long nanoseconds; }} moment;
  int clock_gettime(int clock, moment *now);
]]
local moment = ffi.new("moment")
local function now()
  ffi.C.clock_gettime(1, moment)  -- 1: CLOCK_MONOTONIC
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end
function init(arguments)
  rate, count = tonumber(arguments[1]), tonumber(arguments[2])
  given, sent, late = 0, 0, {{}}
  text = wrk.format()
end
function delay()  -- a free connection takes the next moment of the schedule; milliseconds until then
  begin = begin or now() + {LEAD_SECONDS}
  given = given + 1
  if given > count then return 1e9 end
  return math.max(0, (begin + (given - 1) / rate - now()) * 1e3)
end
function request()
  if begin then  -- wrk also asks once before it begins
    late[#late + 1] = now() - (begin + sent / rate)
    sent = sent + 1
    if sent == count then
      table.sort(late)
      late_us = math.max(0, late[math.ceil(count * 0.99)] * 1e6)
    end
  end
  return text
end
"""
)


def closed_loop(url: str, connections: int, seconds: float, job: Job = TINY_JOB) -> dict[str, float]:
    """Raises ``LoadError`` if a request fails."""
    result = _run(CLOSED, url, connections, seconds, job)
    return {
        "requests_per_second": result["requests"] / result["us"] * 1e6,
        "p50_ms": result["p50"] / 1e3,
        "p99_ms": result["p99"] / 1e3,
    }


def open_loop(url: str, rate: float, seconds: float, job: Job = TINY_JOB) -> dict[str, float]:
    """Raises ``LoadError`` if a request fails or is not answered."""
    count = max(1, round(rate * seconds))
    connections = min(count, math.ceil(rate * PERIOD_SECONDS))
    whole_seconds = LEAD_SECONDS + seconds + LINGER_SECONDS
    result = _run(OPEN, url, connections, whole_seconds, job, str(rate), str(count))
    if result["requests"] != count:
        raise LoadError(f"{url}: {count - result['requests']} of {count} requests were not answered")
    return {
        "arrivals_per_second": rate,
        "p50_ms": result["p50"] / 1e3,
        "p99_ms": result["p99"] / 1e3,
        "p999_ms": result["p999"] / 1e3,
        "late_p99_ms": result["late"] / 1e3,
    }


def _run(text: str, url: str, connections: int, seconds: float, job: Job, *arguments: str) -> dict[str, int]:
    with TemporaryDirectory(prefix="fibonacci-wrk-") as folder:
        script = Path(folder) / "job.lua"
        script.write_text(f"{text}\nwrk.body = '{json.dumps(job)}'\n")
        options = [f"-c{connections}", "-t1", f"-d{math.ceil(seconds)}s", "--timeout", "30s", "-s", str(script), url]
        done = subprocess.run(  # noqa: S603 (found in PATH)
            [WRK.program, *options, "--", *arguments], capture_output=True, text=True, check=False
        )
    if done.returncode or not done.stdout.rstrip().endswith("}"):
        raise LoadError(f"{url}: wrk failed: {(done.stdout + done.stderr)[-500:]}")
    result: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    if result["errors"] or not result["requests"]:
        raise LoadError(f"{url}: {result}")
    return result

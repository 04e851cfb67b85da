"""What rows about durable jobs do and look at: a job of so many core-seconds, and whether it is computed again."""

import asyncio
import math
import time
from collections.abc import Iterable

import httpx
import psutil

from app.durable.records import State
from chaos.caller import Answer, UnansweredError, post
from chaos.durable_load import DurableLoad
from chaos.history import Seen
from chaos.jobs import JobSpec
from chaos.outcome import Check
from chaos.stage import Stage
from harness.processes import alive, descendants

KEEPER = "ray::ServeReplica:fibonacci:FibonacciKeeper"
"""Part of its command line."""
SIZE, SAMPLE = 200_000, 20
"""Terms of the sequences of long jobs, and of how many sequences the cost is measured."""
TINY = JobSpec(1_000, 1)
LOOK_SECONDS = 0.1
ALL_DEAD_SECONDS = 30.0
NOT_THERE = (httpx.HTTPError, ValueError, LookupError, TypeError)
"""What comes of a question that is not answered, or not as documented."""
DURABLE = {"Prefer": "respond-async"}


def job_of(stage: Stage, core_seconds: float) -> JobSpec:
    """A job that costs about as much here, whatever this machine is: a sample is computed. Raises ``HTTPError``."""
    answer = httpx.post(f"{stage.url}/fibonacci", json=JobSpec(SIZE, SAMPLE).body, timeout=120).raise_for_status()
    sequence_seconds = answer.json()["timing"]["compute_seconds"] / SAMPLE
    return JobSpec(SIZE, max(1, round(core_seconds / sequence_seconds)))


def until_kept(load: DurableLoad, job: JobSpec, posted: Seen, fraction: float = 0.0, seconds: float = 60) -> Seen:
    """The job once more than this fraction of it is kept, or it is over. Raises ``RuntimeError`` if that is never."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        seen = load.look(job, posted.job_id)
        if seen is not None and (seen.fraction > fraction or seen.state.done):
            return seen
        time.sleep(LOOK_SECONDS)
    raise RuntimeError(f"{posted.job_id} is not so far within {seconds:g} s")


def computed_again(load: DurableLoad, job: JobSpec, before: Seen, seconds: float, *, resumed: bool) -> float:
    """Seconds until more of it is kept than when it is first heard of again; with ``resumed``, by another keeper."""
    begun = time.monotonic()
    base: int | None = None
    while (passed := time.monotonic() - begun) < seconds:
        seen = load.look(job, before.job_id)
        if seen is not None and (seen.resumed > before.resumed or not resumed):
            if seen.state is State.SUCCEEDED or (base is not None and seen.units > base):
                return passed
            base = seen.units if base is None else base
        time.sleep(LOOK_SECONDS)
    return math.inf


def kill(processes: Iterable[psutil.Process]) -> int:
    """``kill -9`` those that are there; how many."""
    killed = 0
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        killed += 1
    return killed


def kill_everything(stage: Stage) -> int:
    """``kill -9`` every process of the service, the launcher first, and wait until they are dead; how many are not."""
    everything = [psutil.Process(stage.pid), *descendants(stage.pid)]
    kill(everything)
    stage.service.process.wait(ALL_DEAD_SECONDS)
    stage.until(lambda: not alive(everything), ALL_DEAD_SECONDS)
    return len(alive(everything))


def jobs_left(stage: Stage) -> list[Check]:
    """As ``left_behind``, of durable jobs too."""
    stage.until(lambda: _unfinished(stage) == 0, 5)
    return [Check("durable jobs left behind", _unfinished(stage), 0, quiet=True), *stage.left_behind()]


def refusal(url: str, timeout_seconds: float = 10) -> tuple[Answer, float]:
    """What a tiny durable job is answered, and after how many seconds; status 0 if it is not."""
    begun = time.perf_counter()
    try:
        answer = asyncio.run(post(url, TINY.body, timeout_seconds, DURABLE))
    except UnansweredError:
        answer = Answer(0, {}, b"")
    return answer, time.perf_counter() - begun


def durable_counts(url: str) -> dict[str, object]:
    """What GET /pool says of durable jobs; nothing if it says nothing."""
    try:
        counts: dict[str, object] | None = httpx.get(f"{url}/pool", timeout=5).raise_for_status().json()["durable"]
    except NOT_THERE:
        return {}
    return counts or {}


def _unfinished(stage: Stage) -> float:
    counts = durable_counts(stage.url)
    if counts.get("available") is not True:
        return math.inf
    return sum(value for name, value in counts.items() if name in ("queued", "running") and isinstance(value, int))

"""Health while all compute, jobs that last, the wait that a refusal names, and deadlines."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

from chaos.caller import Answer, UnansweredError, get, post
from chaos.jobs import JobSpec, digest, true_digest
from chaos.outcome import Check, Outcome
from chaos.rows.deploying import attach
from chaos.stage import Stage
from harness import bounds
from harness.figures import percentile

SEQUENCE_SIZE = 200_000
PROBES_PER_SECOND = 10
ADMITTED_SECONDS = 0.5
"""A refusal comes sooner; a caller without an answer after this has been admitted."""
SETTLED_SECONDS = 5.0
"""After so long with all workers busy, the service predicts with the speed that they have then."""
BACK_SECONDS = 0.25
"""A refused caller comes back so often here, so the real wait is known as well."""
FAR_INDEX, FAR_TERMS = 50_000_000, 500
LONGER = 1.8
"""By so much the long job is made longer than it has to be: one sequence alone is a rough measure."""


def busy_and_full(stage: Stage, job_seconds: float = 40) -> Outcome:
    """Every worker computes and the queue is full: health, and is Retry-After the real wait?"""
    return asyncio.run(_busy_and_full(stage, job_seconds))


async def _busy_and_full(stage: Stage, job_seconds: float) -> Outcome:
    body = _heavy_job(stage, stage.num_workers * job_seconds)  # two are held: a third more than ``max_queued_seconds``
    held = await _fill(stage.url, body)
    await asyncio.sleep(SETTLED_SECONDS)
    held += await _fill(stage.url, body)
    full = asyncio.create_task(_until_admitted(stage.url, body))
    probes = await probe_until(stage.url, full.done)
    waits = full.result()
    for job in held:
        job.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    return Outcome(
        requests=sum(map(len, probes.values())),
        failed=sum(seconds == float("inf") for values in probes.values() for seconds in values),
        checks=[
            *health_checks(probes),
            Check("refused until a job was let in", len(waits), 1, ">="),
            Check("least Retry-After, s", min((wait.said for wait in waits), default=0.0), 1, ">="),
            Check("real wait of the first, s", max((wait.real for wait in waits), default=0.0)),
            missed(waits),
            *stage.left_behind(),
        ],
    )


async def _fill(url: str, body: dict[str, Any], at_most: int = 50) -> list[asyncio.Task[Answer]]:
    """Post this job until it is refused, whatever the service takes it to cost; those that it holds now."""
    held: list[asyncio.Task[Answer]] = []
    while len(held) < at_most:
        job = asyncio.create_task(post(url, body, 300))
        await asyncio.wait([job], timeout=ADMITTED_SECONDS)
        if job.done() and job.result().status == 429:
            return held
        held.append(job)
    raise ValueError(f"{at_most} jobs are held, and none was refused")


class Wait(NamedTuple):
    """What a refusal said, and how long its caller's job really was not let in; seconds."""

    said: float
    real: float


def missed(waits: list[Wait]) -> Check:
    """Retry-After may miss the real wait by half of it, or by a second; beyond that, in the median of the refusals."""
    by = [max(0.0, abs(wait.said - wait.real) - max(1.0, 0.5 * wait.real)) for wait in waits] or [0.0]
    return Check("Retry-After missed the wait by more than it may (median), s", statistics.median(by), BACK_SECONDS)


def _heavy_job(stage: Stage, core_seconds: float, by: str = "predicted_compute_seconds") -> dict[str, Any]:
    """About so many core-seconds, by what the service says about one sequence."""
    one = {"sequence_size": SEQUENCE_SIZE, "num_sequences": 1}
    answer = httpx.post(f"{stage.url}/fibonacci", json=one, timeout=60).raise_for_status().json()
    seconds: float = answer["timing"][by]
    return one | {"num_sequences": round(core_seconds / seconds)}


Probes = dict[str, list[float]]
"""Seconds of each GET of a health route, by its path; infinite if it was not answered with 200."""


async def probe_until(url: str, is_over: Callable[[], bool]) -> Probes:
    """Ask the health routes, one time after the other."""
    probes: Probes = {"/livez": [], "/readyz": []}
    while not is_over():
        await asyncio.gather(*(_probe(url, path, seconds) for path, seconds in probes.items()))
        await asyncio.sleep(1 / PROBES_PER_SECOND)
    return probes


def health_checks(probes: Probes) -> list[Check]:
    """What is promised of the health routes, whatever the workers do."""
    return [Check(f"{path} p99, s", percentile(seconds, 99), bounds.HEALTH_P99) for path, seconds in probes.items()]


async def _probe(url: str, path: str, seconds: list[float]) -> None:
    begun = time.perf_counter()
    try:
        answer = await get(url, path)
    except UnansweredError:
        seconds.append(float("inf"))
    else:
        seconds.append(time.perf_counter() - begun if answer.status == 200 else float("inf"))


async def _until_admitted(url: str, body: dict[str, Any]) -> list[Wait]:
    """What each refusal said, and how long it still took until the same job was admitted. It leaves at once."""
    refusals: list[tuple[float, float]] = []
    while True:
        posted_at = time.monotonic()
        try:
            answer = await post(url, body, ADMITTED_SECONDS)
        except UnansweredError:
            return [Wait(said, posted_at - refused_at) for refused_at, said in refusals]
        refusals.append((posted_at, float(answer.headers["retry-after"])))
        await asyncio.sleep(BACK_SECONDS)


def long_batches(stage: Stage, seconds: float = 60) -> Outcome:
    """A job of a minute in one call, beside a batch that begins at term 50,000,000: nobody is taken for dead."""
    before = {process.pid for process in stage.processes("ray::ServeReplica")}
    with httpx.Client(base_url=stage.url, timeout=300) as client:
        begun = time.monotonic()
        body = _heavy_job(stage, LONGER * seconds, "compute_seconds") | {"execution": "local"}
        answer = asyncio.run(_long_job_and_far_batch(stage, body))
        lasted = time.monotonic() - begun
        status = client.get("/readyz").status_code
    after = {process.pid for process in stage.processes("ray::ServeReplica")}
    return Outcome(
        requests=2,
        failed=answer["failed"],
        checks=[
            Check("failed or wrong", answer["failed"], 0),
            Check("the job lasted, s", lasted, seconds, ">="),
            Check("the far batch computed, s", answer["far_seconds"]),
            Check("replicas restarted", len(before - after), 0),
            Check("readyz", status, 200, "="),
            *stage.left_behind(),
        ],
    )


async def _long_job_and_far_batch(stage: Stage, body: dict[str, Any]) -> dict[str, Any]:
    job = asyncio.create_task(post(stage.url, body, 290))
    far = await asyncio.to_thread(attach, stage, "run", str(FAR_INDEX), str(FAR_INDEX + FAR_TERMS))
    answer = await job
    right = answer.status == 200 and digest(answer.json()) == true_digest(JobSpec(SEQUENCE_SIZE, body["num_sequences"]))
    failed = (not right) + (not far["verified"] or far["num_units"] != FAR_TERMS)
    return {"failed": failed, "far_seconds": far["compute_seconds"]}


def deadlines(stage: Stage, repeats: int = 5) -> Outcome:
    """Deadlines are kept, and Serve's own headers neither shorten nor lengthen them."""
    return asyncio.run(_deadlines(stage, repeats))


async def _deadlines(stage: Stage, repeats: int) -> Outcome:
    long_job = _heavy_job(stage, 60.0)
    lateness: list[float] = []
    wrong = 0
    for number in range(repeats):
        asked = 0.5 + 0.4 * number
        for headers in ({}, {"x-request-timeout-seconds": "100", "x-request-disconnect-disabled": "?1"}):
            begun = time.perf_counter()
            answer = await post(stage.url, long_job | {"timeout_seconds": asked}, 60, headers)
            lateness.append(time.perf_counter() - begun - asked)
            wrong += answer.status != 504
    short_job = _heavy_job(stage, 1.0)
    shortened = await post(stage.url, short_job, 60, {"x-request-timeout-seconds": "0.01"})
    beyond = await post(stage.url, short_job | {"timeout_seconds": 1e6}, 60)
    return Outcome(
        requests=len(lateness) + 2,
        failed=wrong,
        checks=[
            Check("not 504", wrong, 0),
            Check("latest, s", max(lateness), bounds.DEADLINE),
            Check("earliest, s", min(lateness), 0.0, ">="),
            Check("status with a header that would shorten", shortened.status, 200, "="),
            Check("status of a deadline beyond the settings", beyond.status, 422, "="),
            *stage.left_behind(),
        ],
    )

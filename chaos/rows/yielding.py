"""Durable jobs beside callers who wait for theirs: neither keeps the other from being computed."""

import time
from concurrent.futures import ThreadPoolExecutor

from chaos.durable_jobs import TINY, job_of, jobs_left, until_kept
from chaos.durable_load import DurableLoad, durable_load
from chaos.history import Seen
from chaos.jobs import JobSpec
from chaos.load import closed_loop, open_loop
from chaos.outcome import Check, Outcome
from chaos.record import Record
from chaos.rows.workers import BATCH_SECONDS
from chaos.stage import CALLERS, Stage
from chaos.verdict import outcome_of_jobs
from harness import bounds

ROUNDS, ROUND_SECONDS, A_SECOND = 3, 5.0, 40.0
"""In turns without and with a durable job; so many tiny jobs a second."""
SATURATED_SECONDS, WARM_SECONDS = 20.0, 3.0
ENDLESS_SECONDS = 300.0
"""Core-seconds of a job that is cancelled long before its end."""
SETTLED_SECONDS = 60.0


def beside_tiny(stage: Stage) -> Outcome:
    """Tiny synchronous jobs, in turns alone and beside a durable job that fills the pool."""
    alone, beside = Record(), Record()
    with durable_load(stage.url) as load:
        job = job_of(stage, ENDLESS_SECONDS)
        for _ in range(ROUNDS):
            _add(alone, _tiny_jobs(stage))
            posted = load.post(job)
            until_kept(load, job, posted)
            _add(beside, _tiny_jobs(stage))
            load.cancel(job, posted.job_id)
            time.sleep(bounds.CANCELLED_CPU_IDLE)
        load.settled(SETTLED_SECONDS)
    p99, p99_alone = beside.percentile_ms(99) / 1e3, alone.percentile_ms(99) / 1e3
    limit = bounds.BESIDE_DURABLE * p99_alone + bounds.BESIDE_DURABLE_MORE
    outcome = outcome_of_jobs(
        load.history,
        Check("tiny jobs beside it p99, s", p99, limit),
        *_right(alone, beside),
        *jobs_left(stage),
        least=ROUNDS,
    )
    outcome.requests += len(alone.requests) + len(beside.requests)
    outcome.notes.append(
        "in ms: alone p50 {:.1f}, p99 {:.1f}; beside it p50 {:.1f}, p99 {:.1f}".format(
            *(record.percentile_ms(percent) for record in (alone, beside) for percent in (50, 99))
        )
    )
    return outcome


def saturated(stage: Stage) -> Outcome:
    """A durable job while callers keep all workers busy: it has its share, and none of it is computed twice."""
    with durable_load(stage.url) as load, ThreadPoolExecutor(1) as callers:
        job = job_of(stage, 3 * bounds.DURABLE_SHARE * SATURATED_SECONDS * stage.num_workers)
        time.sleep(2 * bounds.POOL_AGE)  # with what the sample cost
        total = _compute_seconds(stage)
        posted = load.post(job)
        crowd = callers.submit(closed_loop, stage.url, CALLERS, SATURATED_SECONDS + 2 * WARM_SECONDS)
        time.sleep(WARM_SECONDS)
        begun = _both(stage, load, job, posted)
        time.sleep(SATURATED_SECONDS)
        ended = _both(stage, load, job, posted)
        record = crowd.result()
        over = until_kept(load, job, posted, 1.0, SETTLED_SECONDS)
        load.settled(SETTLED_SECONDS)
    time.sleep(2 * bounds.POOL_AGE)
    kept = over.core_seconds + sum(request.compute_seconds for request in record.succeeded)
    share = (ended[1] - begun[1]) / (ended[0] - begun[0])
    outcome = outcome_of_jobs(
        load.history,
        Check("its share / all that the workers computed", share, bounds.DURABLE_SHARE, ">="),
        Check("computed by the workers meanwhile, s", ended[0] - begun[0]),
        Check("computed and not kept, s", _compute_seconds(stage) - total - kept, BATCH_SECONDS),
        *_right(record),
        *jobs_left(stage),
    )
    outcome.requests += len(record.requests)
    return outcome


def _tiny_jobs(stage: Stage) -> Record:
    with open_loop(stage.url, A_SECOND, ROUND_SECONDS, TINY) as record:
        time.sleep(ROUND_SECONDS)
    return record


def _add(record: Record, more: Record) -> None:
    record.requests += more.requests


def _right(*records: Record) -> list[Check]:
    failed, wrong = (sum(each) for each in zip(*((len(r.failures), r.num_wrong) for r in records), strict=True))
    return [Check("other jobs failed", failed, 0, quiet=True), Check("other jobs wrong", wrong, 0, quiet=True)]


def _both(stage: Stage, load: DurableLoad, job: JobSpec, posted: Seen) -> tuple[float, float]:
    """Core-seconds that all workers have computed, and those of the job that are kept."""
    seen = load.look(job, posted.job_id)
    if seen is None:
        raise RuntimeError("nobody says how far the job is")
    return _compute_seconds(stage), seen.core_seconds


def _compute_seconds(stage: Stage) -> float:
    return float(sum(worker["compute_seconds"] for worker in stage.pool()["workers"]))

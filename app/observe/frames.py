"""A frame: what has happened since a cursor, as one who watches may see it. Times in milliseconds since 1970."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from app.observe.news import ToldBatch, ToldJob, ToldRunning
from app.observe.timeline import HISTORY_SECONDS
from app.observe.watching import Source, Watching
from app.status import PoolStatus

MAX_BATCHES = 2_000
"""Above that a frame tells how busy each worker was instead of each batch: what a browser can draw has its limits, and
any pool fits."""
BUCKET_SECONDS = 0.25
CURSOR = re.compile(r"[0-9a-f]{12}:\d{1,15}:\d{1,15}")
MAX_SOURCES = 64
"""Of a cursor: more are not believed."""


class At(NamedTuple):
    """How far somebody has been told of one source."""

    batches: int
    jobs: int


def read_cursor(cursor: str) -> dict[str, At]:
    """By source; what is no cursor of ours tells nothing."""
    told: dict[str, At] = {}
    for part in cursor.split(",")[:MAX_SOURCES]:
        if CURSOR.fullmatch(part):
            source, batches, jobs = part.split(":")
            told[source] = At(int(batches), int(jobs))
    return told


def write_cursor(sources: Iterable[Source], told: Mapping[str, At]) -> str:
    """The cursor of one who has been told everything of these, and so much of others, which may be late."""
    at = {source.id: At(source.batches.last, source.jobs.last) for source in sources}
    at |= {id_: place for id_, place in told.items() if id_ not in at}
    return ",".join(f"{id_}:{place.batches}:{place.jobs}" for id_, place in islice(at.items(), MAX_SOURCES))


class Frames:
    """Makes frames of what is watched."""

    def __init__(self, watching: Watching, units: dict[str, str]) -> None:
        """``units``: what each kernel counts, in the plural."""
        self._watching = watching
        self._units = units

    def frame(self, cursor: str, caller: str) -> dict[str, Any]:
        """What is new since the cursor. Of others' batches it tells when and where they ran, of their jobs nothing."""
        watching = self._watching
        sources = list(watching.sources.values())
        told = read_cursor(cursor)
        batches, ended, gap = _news(sources, told, watching.now)
        running = [each for source in sources for each in source.running]
        unfinished = [job for source in sources for job in source.unfinished]
        frame: dict[str, Any] = {
            "cursor": write_cursor(sources, told),
            "now": _ms(watching.now),
            "gap": gap,
            "silent": watching.num_silent,
            "units": self._units,
            "totals": _totals(sources),
            **_pool(watching.pool),
            "batches": [],
            "density": [],
            "running": [_running(each, caller) for each in running[:MAX_BATCHES]],
            "jobs": [job_fields(job, self._units) for job in (*ended, *unfinished) if job.caller == caller],
        }
        if len(batches) > MAX_BATCHES:
            frame["density"] = _density(batches)
        else:
            frame["batches"] = [_batch(batch, caller) for batch in batches]
        return frame


def job_fields(job: ToldJob, units: dict[str, str]) -> dict[str, Any]:
    """A job as it is shown; its times are by the wall clock."""
    return {
        "id": job.job_id,
        "kernel": job.kernel,
        "unit": units.get(job.kernel, "units"),
        "num_lines": job.num_lines,
        "length": job.length,
        "execution": job.execution,
        "durable": job.durable,
        "state": job.stage,
        "accepted_at": _ms(job.accepted_at),
        "ended_at": None if job.ended_at is None else _ms(job.ended_at),
        "predicted_seconds": job.predicted_seconds,
        "total_seconds": job.total_seconds,
        "queued_seconds": job.queued_seconds,
        "compute_seconds": job.compute_seconds,
        "num_workers": job.num_workers,
        "num_batches": job.num_batches,
        "num_recomputed": job.num_recomputed,
        "progress": round(job.progress, 4),
        "problem": job.problem,
    }


def _news(sources: list[Source], told: dict[str, At], now: float) -> tuple[list[ToldBatch], list[ToldJob], int]:
    """Batches and jobs that are over and were not told, and how many batches nobody remembers any more."""
    batches: list[ToldBatch] = []
    jobs: list[ToldJob] = []
    gap = 0
    for source in sources:
        if (at := told.get(source.id)) is None:
            batches += (batch for batch in source.batches.items if batch.ended_at >= now - HISTORY_SECONDS)
            jobs += source.jobs.items
        else:
            found, forgotten = source.batches.after(at.batches)
            batches += found
            gap += forgotten
            jobs += source.jobs.after(at.jobs)[0]
    return batches, jobs, gap


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _totals(sources: list[Source]) -> dict[str, Any]:
    units: Counter[str] = Counter()
    for source in sources:
        units.update(source.totals.units)
    return {
        "units": dict(units),
        "jobs": sum(source.totals.jobs for source in sources),
        "busy_seconds": sum(source.totals.busy_seconds for source in sources),
    }


def _pool(pool: PoolStatus | None) -> dict[str, Any]:
    workers = () if pool is None else pool.workers
    queues = () if pool is None else pool.queues
    durable = None if pool is None else pool.durable
    return {
        "ingresses": len(queues),
        "workers": [
            {
                "id": worker.worker_id,
                "node": worker.node_id,
                "state": ("busy" if worker.busy else "idle") if worker.replied else "silent",
            }
            for worker in workers
        ],
        "queue": {
            "queued_jobs": sum(queue.queued_jobs for queue in queues),
            "unfinished_jobs": sum(queue.unfinished_jobs for queue in queues),
            "drain_seconds": sum(queue.drain_seconds for queue in queues),
        },
        "durable": None
        if durable is None
        else {
            "available": durable.available,
            "reason": durable.reason,
            "queued": durable.queued,
            "running": durable.running,
            "finished": durable.finished,
        },
    }


def _batch(batch: ToldBatch, caller: str) -> list[Any]:
    mine = batch.caller == caller
    return [
        batch.worker_id,
        batch.job_id if mine else None,
        batch.kernel if mine else None,
        _ms(batch.began_at),
        _ms(batch.ended_at),
        _ms(batch.compute_seconds),
        batch.job_units if mine else 0,
        batch.attempts if mine else 1,
        batch.outcome,
        batch.num_jobs if mine else 1,
    ]


def _running(running: ToldRunning, caller: str) -> list[Any]:
    mine = running.caller == caller
    return [
        running.worker_id,
        running.job_id if mine else None,
        running.kernel if mine else None,
        _ms(running.began_at),
        _ms(running.predicted_seconds) if mine else 0,
        running.job_units if mine else 0,
        running.attempts if mine else 1,
        int(running.late),
        running.num_jobs if mine else 1,
    ]


def _density(batches: list[ToldBatch]) -> list[list[Any]]:
    """How busy each worker was in each quarter of a second."""
    busy: defaultdict[tuple[str, int], float] = defaultdict(float)
    number: Counter[tuple[str, int]] = Counter()
    for batch in batches:
        began_at = max(batch.began_at, batch.ended_at - batch.compute_seconds)
        first, last = math.floor(began_at / BUCKET_SECONDS), math.floor(batch.ended_at / BUCKET_SECONDS)
        number[batch.worker_id, last] += 1
        for bucket in range(max(first, last - int(HISTORY_SECONDS / BUCKET_SECONDS)), last + 1):
            start = bucket * BUCKET_SECONDS
            seconds = min(batch.ended_at, start + BUCKET_SECONDS) - max(began_at, start)
            busy[batch.worker_id, bucket] += seconds
    return [
        [worker, _ms(bucket * BUCKET_SECONDS), _ms(BUCKET_SECONDS), round(min(1.0, share / BUCKET_SECONDS), 3),
         number[worker, bucket]]
        for (worker, bucket), share in sorted(busy.items())
    ]  # fmt: skip

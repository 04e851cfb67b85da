"""Workers that die, freeze or lie, and a job that kills them."""

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from app.dispatch.in_flight import LATE_FACTOR, LATE_SECONDS
from app.dispatch.outcomes import MAX_ATTEMPTS
from app.queue.lanes import MAX_FULL, MAX_FULL_AND_EXPRESS, SHORT_SECONDS
from chaos.jobs import JobSpec
from chaos.load import all_at_once, open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import Record
from chaos.saboteur import LIES, LIES_FILE, POISON_SIZE, POISONED_FILE
from chaos.stage import Stage
from harness import bounds
from harness.figures import percentile
from harness.processes import alive

BATCH_SECONDS = 0.2
"""``batch_ceiling_seconds``: what one batch may take."""
SMALL_SECONDS = SHORT_SECONDS / 2
"""Jobs of which several go in a short batch, even if the service has learnt that they cost twice as much."""
SETTLE_SECONDS = 3.0
"""Load before a fault, so that it strikes jobs under way."""
POISON = JobSpec(POISON_SIZE, 1)
HELD = JobSpec(300_000, 24)
"""Five core-seconds: still computed a second later."""
LONG_LINE = JobSpec(3_000_000, 1)
NEIGHBOUR, NEIGHBOURS = JobSpec(20_000, 1), 20
"""Small, but so many and large enough that they gather in batches; so many before the poison and so many after it."""


def undisturbed(stage: Stage, seconds: float = 20) -> Outcome:
    """Nothing happens: what the other rows are compared with."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(seconds)
    peak = Check("peak, jobs/s", stage.measured.peak_per_second)
    return outcome_of(record, peak, Check("sustainable load, jobs/s", stage.rate), *stage.left_behind())


def killed_again_and_again(stage: Stage, seconds: float = 60, every: float = 5) -> Outcome:
    """A random worker is killed every few seconds; at times none is left."""
    kills = 0
    with open_loop(stage.url, stage.rate) as record:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(every)
            if workers := stage.workers():
                random.choice(workers).kill()  # noqa: S311 (not for secrets)
                kills += 1
        replaced = stage.until(stage.is_whole, 2 * bounds.WORKER_REPLACED)
    return outcome_of(
        record,
        Check("kills", kills, int(seconds / every / 2), ">="),  # at times there is nobody to kill
        _attempts(record),
        _replaced(replaced),
        *stage.left_behind(),
    )


def all_killed(stage: Stage, seconds: float = 20) -> Outcome:
    """Every worker at once, in the middle of a larger job."""
    with open_loop(stage.url, stage.rate) as record, ThreadPoolExecutor(1) as caller:
        time.sleep(SETTLE_SECONDS)
        held = caller.submit(all_at_once, stage.url, [HELD])
        time.sleep(1.0)
        for worker in stage.workers():
            worker.kill()
        begun = time.monotonic()
        replaced = stage.until(stage.is_whole, 2 * bounds.WORKER_REPLACED)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - begun)))
    record.requests += held.result().requests
    return outcome_of(record, _attempts(record), _replaced(replaced), *stage.left_behind())


def one_killed(stage: Stage, seconds: float = 25) -> Outcome:
    """One worker, once: how much later are answers?"""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        killed_at = record.requests[-1].due
        stage.workers()[0].kill()
        begun = time.monotonic()
        replaced = stage.until(stage.is_whole, 2 * bounds.WORKER_REPLACED)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - begun)))
    calm = stage.measured.undisturbed_p99
    smaller_pool = calm * (_times_the_load(stage) - 1)
    added = record.percentile_ms(99) / 1e3 - calm
    limit = BATCH_SECONDS + smaller_pool + bounds.ADDED_BY_A_LOST_WORKER
    meanwhile = [r.seconds for r in record.succeeded if killed_at <= r.due <= killed_at + replaced]
    return outcome_of(
        record,
        Check("added p99, s", added, limit),
        Check("p99 of those posted while it was missing, s", percentile(meanwhile, 99)),
        _replaced(replaced),
        *stage.left_behind(),
    )


def frozen(stage: Stage, seconds: float = 45) -> Outcome:
    """A worker stops for good, without dying."""
    victim = stage.workers()[0]
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        victim.suspend()
        replaced = stage.until(lambda: _works_without(stage, victim), seconds)
        time.sleep(SETTLE_SECONDS)
        was_gone = not alive([victim])
        if not was_gone:
            victim.kill()  # or its requests would hold up the rest of the run
    stage.until(stage.is_whole, 2 * bounds.WORKER_REPLACED)
    ended = Check("frozen process ended", was_gone, 1, "=")
    return outcome_of(
        record, _replaced(replaced), ended, _no_attempt_used(record), *_held_up(stage, record), *stage.left_behind()
    )


def thawed(stage: Stage, frozen_seconds: float = 4) -> Outcome:
    """A worker stops and goes on after a while: it is used again."""
    victim = stage.workers()[0]
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        everybody = _completed_batches(stage).keys()
        victim.suspend()
        try:
            time.sleep(frozen_seconds)
            silent = everybody - _completed_batches(stage).keys()
        finally:
            victim.resume()
        begun = time.monotonic()
        stage.until(lambda: silent <= _completed_batches(stage).keys(), bounds.WORKER_REPLACED)
        # What it had ends first; only more than that was newly sent to it.
        had = {worker: count + MAX_FULL_AND_EXPRESS for worker, count in _completed_batches(stage).items()}
        has_more = stage.until(
            lambda: all(_completed_batches(stage).get(worker, 0) > had[worker] for worker in silent),
            bounds.WORKER_REPLACED,
        )
        used = time.monotonic() - begun
        time.sleep(SETTLE_SECONDS)
    stage.until(stage.is_whole, bounds.WORKER_REPLACED)
    return outcome_of(
        record,
        Check("workers silent meanwhile", len(silent), 1, "="),
        Check(
            "has computed new batches after, s", used if math.isfinite(has_more) else has_more, bounds.WORKER_REPLACED
        ),
        Check("it is the same process", len(alive([victim])), 1, "="),
        _no_attempt_used(record),
        *_held_up(stage, record),
        *stage.left_behind(),
    )


def flipped_bits(stage: Stage, seconds: float = 20) -> Outcome:
    """One of the workers flips a bit in every fifth segment: on a sabotaged stage."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(seconds)
    recomputed = sum(request.num_recomputed for request in record.succeeded)
    return outcome_of(record, Check("segments recomputed", recomputed, 1, ">="), *stage.left_behind())


def lied_to(stage: Stage) -> Outcome:
    """A long sequence for each kind of lie, cut over three workers: often both neighbours of a cut are on the liar."""
    if stage.folder is None:
        raise RuntimeError("the workers are not sabotaged")
    record, recomputed = Record(), {}
    for lie in LIES:
        (stage.folder / LIES_FILE).write_text(lie)
        posted = all_at_once(stage.url, [LONG_LINE])
        record.requests += posted.requests
        recomputed[lie] = sum(request.num_recomputed for request in posted.succeeded)
    checks = (Check(f"recomputed because of {lie}", number, 1, ">=") for lie, number in recomputed.items())
    return outcome_of(record, *checks, *stage.left_behind())


def poisoned(stage: Stage, seconds: float = 20) -> Outcome:
    """A job that kills every worker it meets, on a sabotaged stage, in the middle of small ones."""
    if stage.folder is None:
        raise RuntimeError("the workers are not sabotaged")
    word = stage.folder / POISONED_FILE
    word.write_text("")
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        begun = time.monotonic()
        posted = all_at_once(stage.url, [*[NEIGHBOUR] * NEIGHBOURS, POISON, *[NEIGHBOUR] * NEIGHBOURS])
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    poison = posted.requests.pop(NEIGHBOURS)
    record.requests += posted.requests
    rode_along = [int(line) for line in word.read_text().split()]
    return outcome_of(
        record,
        Check("the poison's status", poison.status or 0, 500, "="),
        Check("its answer, s", poison.seconds),
        Check("workers that it killed", len(rode_along), MAX_ATTEMPTS, "="),
        Check("small jobs posted with it", len(posted.requests)),
        Check("other jobs in its batch", sum(rode_along[:1]), 1, ">="),
        Check("in its batches when it was tried again", sum(rode_along[1:]), 0),
        Check("failed of the small jobs", len(posted.failures), 0),
        *stage.left_behind(),
    )


def _held_up(stage: Stage, record: Record) -> list[Check]:
    """The slowest answers beside a worker that stands still.

    What it has is late after two seconds and four times the predicted seconds of what is there, two long batches at
    most; a short one goes first. Then it is computed again, by fewer workers, under the load.
    """
    again = stage.measured.undisturbed_p99 * _times_the_load(stage) + BATCH_SECONDS + bounds.ADDED_BY_A_LOST_WORKER
    late = LATE_SECONDS + LATE_FACTOR * MAX_FULL * BATCH_SECONDS
    small = [request.seconds for request in record.succeeded if request.job.cost <= SMALL_SECONDS]
    return [
        Check("slowest, s", record.percentile_ms(100) / 1e3, late + again),
        Check("slowest small job, s", max(small, default=0.0), bounds.FROZEN_WORKER),
    ]


def _times_the_load(stage: Stage) -> float:
    """Of each worker, while one is gone."""
    return stage.num_workers / max(1, stage.num_workers - 1)


def _works_without(stage: Stage, victim: psutil.Process) -> bool:
    others = [process for process in stage.workers() if process.pid != victim.pid]
    return len(others) >= stage.num_workers and stage.live_workers() >= stage.num_workers


def _completed_batches(stage: Stage) -> dict[str, int]:
    """Of every worker that replies, by its id."""
    try:
        workers = stage.pool()["workers"]
    except (httpx.HTTPError, ValueError):
        return {}
    return {worker["worker_id"]: worker["completed_batches"] for worker in workers if worker["state"] != "silent"}


def _attempts(record: Record) -> Check:
    return Check("most attempts", max((request.attempts for request in record.succeeded), default=0), 2, ">=")


def _no_attempt_used(record: Record) -> Check:
    """No worker died, at most one was late: that does not count as an attempt."""
    return Check("most attempts", max((request.attempts for request in record.succeeded), default=0), 1)


def _replaced(seconds: float) -> Check:
    return Check("all workers back after, s", seconds, bounds.WORKER_REPLACED)

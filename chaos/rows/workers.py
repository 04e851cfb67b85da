"""Workers that die, freeze or lie, and a job that kills them."""

import random
import time

import psutil

from app.flights import LATE_FACTOR, LATE_SECONDS, SHORT_SECONDS
from app.pool import MAX_IN_FLIGHT
from app.scheduler import MAX_ATTEMPTS
from chaos.jobs import JobSpec
from chaos.load import all_at_once, open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import Record
from chaos.saboteur import POISON_SIZE, POISONED_FILE
from chaos.stage import Stage
from tests.serve import bounds
from tests.serve.processes import alive, cpu_seconds

BATCH_SECONDS = 0.2
"""``batch_ceiling_seconds``: what one batch may take."""
SMALL_SECONDS = SHORT_SECONDS / 2
"""Jobs that go in a short batch, even if the service has learnt that they cost twice as much."""
SETTLE_SECONDS = 3.0
"""Load before a fault, so that it strikes jobs under way."""
POISON = JobSpec(POISON_SIZE, 1)
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
        record, Check("kills", kills, 1, ">="), _attempts(record), _replaced(replaced), *stage.left_behind()
    )


def all_killed(stage: Stage, seconds: float = 20) -> Outcome:
    """Every worker at once."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        for worker in stage.workers():
            worker.kill()
        begun = time.monotonic()
        replaced = stage.until(stage.is_whole, 2 * bounds.WORKER_REPLACED)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - begun)))
    return outcome_of(record, _attempts(record), _replaced(replaced), *stage.left_behind())


def one_killed(stage: Stage, seconds: float = 25) -> Outcome:
    """One worker, once: how much later are answers?"""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        stage.workers()[0].kill()
        begun = time.monotonic()
        replaced = stage.until(stage.is_whole, 2 * bounds.WORKER_REPLACED)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - (time.monotonic() - begun)))
    calm = stage.measured.undisturbed_p99
    smaller_pool = calm * (_times_the_load(stage) - 1)
    added = record.percentile_ms(99) / 1e3 - calm
    limit = BATCH_SECONDS + smaller_pool + bounds.ADDED_BY_A_LOST_WORKER
    return outcome_of(record, Check("added p99, s", added, limit), _replaced(replaced), *stage.left_behind())


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
    return outcome_of(record, _replaced(replaced), ended, *_held_up(stage, record), *stage.left_behind())


def thawed(stage: Stage, frozen_seconds: float = 4) -> Outcome:
    """A worker stops and goes on after a while: it is used again."""
    victim = stage.workers()[0]
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        victim.suspend()
        try:
            time.sleep(frozen_seconds)
        finally:
            victim.resume()
        used = stage.until(lambda: _uses(stage, victim), bounds.WORKER_REPLACED)
        time.sleep(SETTLE_SECONDS)
    stage.until(stage.is_whole, bounds.WORKER_REPLACED)
    used_again = Check("it, or a replacement, computes again after, s", used, bounds.WORKER_REPLACED)
    return outcome_of(record, used_again, *_held_up(stage, record), *stage.left_behind())


def flipped_bits(stage: Stage, seconds: float = 20) -> Outcome:
    """One of the workers flips a bit in every fifth segment: on a sabotaged stage."""
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(seconds)
    recomputed = sum(request.num_recomputed for request in record.succeeded)
    return outcome_of(record, Check("segments recomputed", recomputed, 1, ">="), *stage.left_behind())


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
    most; a short one goes before them. Then it is computed again, by fewer workers, under the load.
    """
    again = stage.measured.undisturbed_p99 * _times_the_load(stage) + BATCH_SECONDS + bounds.ADDED_BY_A_LOST_WORKER
    late = LATE_SECONDS + LATE_FACTOR * MAX_IN_FLIGHT * BATCH_SECONDS
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


def _uses(stage: Stage, victim: psutil.Process) -> bool:
    """Whether the process computes, or another has come in its place."""
    if not alive([victim]):
        return _works_without(stage, victim)
    before = cpu_seconds([victim])
    time.sleep(1.0)
    return bool(alive([victim])) and cpu_seconds([victim]) - before > 0.1


def _attempts(record: Record) -> Check:
    return Check("most attempts", max((request.attempts for request in record.succeeded), default=0), 2, ">=")


def _replaced(seconds: float) -> Check:
    return Check("all workers back after, s", seconds, bounds.WORKER_REPLACED)

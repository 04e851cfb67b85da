"""Durable jobs beside processes that die or stand still: the keeper, the controller, the workers."""

import random
import time
from collections.abc import Callable

import psutil

from chaos.durable_jobs import KEEPER, computed_again, job_of, jobs_left, kill, until_kept
from chaos.durable_load import durable_load
from chaos.outcome import Check, Outcome
from chaos.rows.serving import CONTROLLER
from chaos.stage import Stage
from chaos.verdict import most_resumed, outcome_of_jobs
from harness import bounds
from harness.processes import alive, cpu_seconds

LONG_SECONDS = 8.0
"""Of a job beside the fault, on an otherwise idle pool."""
RATE = 1.0
"""Mixed jobs a second: a tenth of what two cores compute."""
REACHED = 0.3
"""Of the long job, before the fault strikes."""
WATCHED_SECONDS = 12.0
"""Under load from the fault on, however soon all is well again."""
SETTLED_SECONDS = 120.0


def keeper_killed(stage: Stage) -> Outcome:
    """The keeper, once, beside a long job. What is computed twice is seen from the same job, undisturbed before."""
    job = job_of(stage, LONG_SECONDS * stage.num_workers)
    workers = stage.workers()
    with durable_load(stage.url) as load:
        used, resumed, again = [], [], 0.0
        for is_killed in (False, True):
            begun = cpu_seconds(workers)
            posted = load.post(job)
            if is_killed:
                before = until_kept(load, job, posted, REACHED)
                kill(stage.processes(KEEPER))
                again = computed_again(load, job, before, 4 * bounds.KEEPER_REPLACED, resumed=True)
            resumed.append(until_kept(load, job, posted, 1.0, SETTLED_SECONDS).resumed)
            used.append(cpu_seconds(workers) - begun)
        load.settled(SETTLED_SECONDS)
    alone, disturbed = used
    return outcome_of_jobs(
        load.history,
        Check("computed again after, s", again, bounds.KEEPER_REPLACED),
        Check("computed twice by a worker, s", (disturbed - alone) / stage.num_workers, bounds.COMPUTED_TWICE),
        Check("the same job undisturbed, s of a worker", alone / stage.num_workers),
        Check("resumed as often as it was killed", resumed == [0, 1], 1, "="),
        *jobs_left(stage),
        least=2,
    )


def keeper_killed_again_and_again(stage: Stage) -> Outcome:
    """The keeper every few seconds; at times there is none."""
    return _killed_again_and_again(stage, lambda: stage.processes(KEEPER))


def workers_killed_again_and_again(stage: Stage) -> Outcome:
    """A random worker every few seconds."""
    return _killed_again_and_again(stage, lambda: random.sample(found := stage.workers(), min(1, len(found))))


def _killed_again_and_again(
    stage: Stage, victims: Callable[[], list[psutil.Process]], seconds: float = 60, every: float = 5
) -> Outcome:
    job, kills = job_of(stage, LONG_SECONDS * stage.num_workers), 0
    with durable_load(stage.url, RATE) as load:
        load.post(job)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(every)
            kills += kill(victims())
        settled = load.settled(SETTLED_SECONDS)
    stage.until(stage.is_whole, bounds.WORKER_REPLACED)
    return outcome_of_jobs(
        load.history,
        Check("kills", kills, int(seconds / every / 3), ">="),  # a keeper takes longer to be replaced
        Check("all over after the last, s", settled, SETTLED_SECONDS),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=int(seconds * RATE / 2),
    )


def keeper_frozen(stage: Stage) -> Outcome:
    """The keeper stops for good, without dying: its guard ends it, and another goes on."""

    def freeze() -> list[psutil.Process]:
        for victim in (found := stage.processes(KEEPER)):
            victim.suspend()
        return found

    return _struck_once(stage, freeze, resumed=True)


def controller_killed(stage: Stage) -> Outcome:
    """Serve's controller: the keeper goes on without it, and is not replaced."""

    def strike() -> list[psutil.Process]:
        kill(found := stage.processes(CONTROLLER))
        return found

    outcome = _struck_once(stage, strike, resumed=False)
    back = stage.until(lambda: bool(stage.processes(CONTROLLER)), bounds.KEEPER_FROZEN)
    outcome.checks.append(Check("its process back after that, s", back, bounds.KEEPER_FROZEN, quiet=True))
    return outcome


def _struck_once(stage: Stage, strike: Callable[[], list[psutil.Process]], *, resumed: bool) -> Outcome:
    """A fault with mixed jobs and a long one under way, after which the victims have to be gone."""
    job = job_of(stage, LONG_SECONDS * stage.num_workers)
    with durable_load(stage.url, RATE) as load:
        before = until_kept(load, job, load.post(job))
        victims = strike()
        again = computed_again(load, job, before, 2 * bounds.KEEPER_FROZEN, resumed=resumed)
        left = len(alive(victims))
        kill(victims)  # or they would hold up the rest of the run
        time.sleep(max(0.0, WATCHED_SECONDS - again))
        load.settled(SETTLED_SECONDS)
    return outcome_of_jobs(
        load.history,
        Check("struck", len(victims), 1, "="),
        Check("computed again after, s", again, bounds.KEEPER_FROZEN),
        Check("processes left that were struck", left, 0),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=5,
    )

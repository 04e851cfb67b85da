"""Every process of the service is killed, and it is started again where it was, with its durable jobs."""

import contextlib
import math
import time

from app.durable.records import State
from chaos.durable_jobs import LOOK_SECONDS, job_of, jobs_left, kill_everything
from chaos.durable_load import DurableLoad, durable_load
from chaos.durable_stage import same_port
from chaos.history import Seen
from chaos.jobs import JobSpec
from chaos.outcome import Check, Outcome
from chaos.rows.keeping import SETTLED_SECONDS
from chaos.stage import Stage
from chaos.verdict import outcome_of_jobs
from harness import bounds

JOBS, JOB_SECONDS = 20, 3.0
"""So many core-seconds each: some are finished, some under way and some not begun at each kill."""
UNDER_WAY_SECONDS = 3.0


def killed_once(stage: Stage) -> Outcome:
    """Once."""
    return _killed(stage, 1)


def killed_five_times(stage: Stage) -> Outcome:
    """Five times."""
    return _killed(stage, 5)


def _killed(stage: Stage, times: int) -> Outcome:
    if stage.launch is None:
        raise RuntimeError("this service cannot be started again")
    job, where = job_of(stage, JOB_SECONDS), same_port(stage.service)
    left, again = 0, []
    with durable_load(stage.url) as load, contextlib.ExitStack() as services:
        posted = [load.post(job) for _ in range(JOBS)]
        for _ in range(times):
            time.sleep(UNDER_WAY_SECONDS)
            left += kill_everything(stage)
            stage.service = services.enter_context(stage.launch(*where))
            again.append(_computing(load, job, posted))
        load.settled(SETTLED_SECONDS)
        resumed = {each.seen.job_id: each.seen.resumed for each in load.history.operations if each.seen}
        whole = stage.until(stage.is_whole, bounds.WORKER_REPLACED)
        checks = [Check("whole again", math.isfinite(whole), 1, "="), *jobs_left(stage)]
    return outcome_of_jobs(
        load.history,
        Check("processes left by a kill", left, 0),
        Check("computing after it was ready again, at worst, s", max(again), bounds.DURABLE_AGAIN),
        Check("jobs that were resumed", sum(map(bool, resumed.values())), times, ">="),
        *checks,
        least=JOBS,
    )


def _computing(load: DurableLoad, job: JobSpec, posted: list[Seen]) -> float:
    """Seconds until more of the jobs under way is kept than when they were first heard of again."""
    begun = time.monotonic()
    base: dict[str, int] = {}
    while (passed := time.monotonic() - begun) < 2 * SETTLED_SECONDS:
        for each in posted:
            seen = load.look(job, each.job_id)
            if seen is None:
                break  # nor will the others be told
            if seen.units > base.setdefault(seen.job_id, seen.units):
                return passed
            if seen.state is State.QUEUED:
                break  # and so are all that follow
        time.sleep(LOOK_SECONDS)
    return math.inf

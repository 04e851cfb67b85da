"""Callers who follow durable jobs by their events, when the ingress that they are connected to dies."""

import time

from chaos.durable_jobs import TINY, job_of, jobs_left
from chaos.durable_load import durable_load
from chaos.event_streams import following
from chaos.history import Act, End, History
from chaos.outcome import Check, Outcome
from chaos.rows.serving import INGRESS
from chaos.stage import Stage
from chaos.verdict import most_resumed, outcome_of_jobs
from harness import bounds

FOLLOWERS, JOB_SECONDS = 20, 1.5
"""So many core-seconds each: a quarter of a minute altogether."""
UNDER_WAY_SECONDS = 3.0
WATCHED_SECONDS, LOOK_SECONDS = 5.0, 0.05
SETTLED_SECONDS = 120.0


def ingress_killed(stage: Stage) -> Outcome:
    """One of two ingresses: the other serves at once, and every stream comes back and is told of the end."""
    job = job_of(stage, JOB_SECONDS)
    with durable_load(stage.url) as load:
        ids = [load.post(job).job_id for _ in range(FOLLOWERS)]
        with following(stage.url, load.history, [(job, job_id) for job_id in ids]) as followers:
            time.sleep(UNDER_WAY_SECONDS)
            victim, _ = stage.processes(INGRESS)
            killed_at = load.history.now
            victim.kill()
            while load.history.now < killed_at + WATCHED_SECONDS:
                load.look(job, ids[-1])
                time.sleep(LOOK_SECONDS)
            accepted = load.post(TINY)
            load.settled(SETTLED_SECONDS)
            over = stage.until(lambda: followers.all_over, 30)
    stage.until(lambda: stage.pool()["ingress_replicas"] == 2, 60)
    return outcome_of_jobs(
        load.history,
        Check("the last request that failed after, s", last_failure(load.history, killed_at), bounds.OTHER_INGRESS),
        Check("a job is accepted then", bool(accepted.job_id), 1, "="),
        Check("streams cut", sum(each.cut for each in followers.followed), 1, ">="),
        Check("followers told of the end", sum(each.done for each in followers.followed), FOLLOWERS, "="),
        Check("followers told that nothing follows", sum(each.over for each in followers.followed), FOLLOWERS, "="),
        Check("after the last job's end, s", over, 30, quiet=True),
        Check("most often resumed", most_resumed(load.history), 0),
        *jobs_left(stage),
        least=FOLLOWERS,
    )


def last_failure(history: History, since: float) -> float:
    """Seconds from then to the end of the last request that was not answered, though the job is there."""
    failed = [each.ended or 0.0 for each in history.of(Act.READ, End.UNKNOWN) if each.invoked >= since]
    return max(failed, default=since) - since

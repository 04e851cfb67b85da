"""A job of minutes while others change what it depends on."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

from chaos.jobs import LocalJob
from chaos.load import all_at_once
from chaos.outcome import Check, Outcome, outcome_of
from chaos.rows.deploying import deploy, max_size, new_max_size
from chaos.rows.serving import HAPROXY, INGRESS, PROCESS_BACK
from chaos.stage import Stage
from harness.config import Config, limits_of
from harness.processes import alive

SECONDS, LEAST_SECONDS = 240.0, 180.0
"""What the job is to last, and what it has to: well over the two minutes after which Serve ends an old HAProxy."""
SEQUENCE_SIZE, SAMPLE = 200_000, 60


def redeployed_and_killed(stage: Stage) -> Outcome:
    """A redeploy replaces all workers and the ingress without the job, then that ingress's successor is killed."""
    new = new_max_size(stage)

    def change(config: Config) -> None:
        limits_of(config)["max_sequence_size"] = new

    def new_ingresses() -> list[int]:
        return [process.pid for process in stage.processes(INGRESS) if process not in old]

    job = _job_that_lasts(stage, SECONDS)
    old, haproxies = stage.processes(INGRESS), stage.processes(HAPROXY)
    with ThreadPoolExecutor(1) as caller:
        posted = caller.submit(all_at_once, stage.url, [job])
        stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == 1), 10)
        deploy(stage, change, patience_seconds=5)  # it ends with the job
        # Serve replaces the ingress that has the job only when the job is done.
        came = stage.until(lambda: max_size(stage) == new and bool(new_ingresses()), 60)
        holds = len(alive(old))
        victim = next(process for process in stage.processes(INGRESS) if process.pid in new_ingresses())
        victim.kill()
        back = stage.until(lambda: any(pid != victim.pid for pid in new_ingresses()), PROCESS_BACK)
        record = posted.result()
    whole = stage.until(stage.is_whole, 120)
    return outcome_of(
        record,
        Check("it lasted, s", record.requests[0].seconds, LEAST_SECONDS, ">="),
        Check("new settings in force", math.isfinite(came), 1, "="),
        Check("old ingresses that still had it", holds, 1, ">=", quiet=True),
        Check("another HAProxy in the old one's place", stage.processes(HAPROXY) != haproxies, 1, "="),
        Check("the killed ingress's successor after, s", back, PROCESS_BACK),
        Check("whole again", math.isfinite(whole), 1, "="),
        *stage.left_behind(),
    )


def _job_that_lasts(stage: Stage, seconds: float) -> LocalJob:
    """One worker computes it in one call: what a redeploy can lose most of."""
    begun = time.monotonic()
    all_at_once(stage.url, [LocalJob(SEQUENCE_SIZE, SAMPLE)])
    return LocalJob(SEQUENCE_SIZE, round(SAMPLE * seconds / (time.monotonic() - begun)))

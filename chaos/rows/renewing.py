"""Durable jobs while the service is replaced: new versions good and bad, and a second service for the same jobs."""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor

from chaos.caller import post
from chaos.durable_jobs import TINY, computed_again, durable_counts, job_of, jobs_left, refusal, until_kept
from chaos.durable_load import durable_load
from chaos.durable_stage import jobs_in
from chaos.jobs import digest, true_digest
from chaos.outcome import Check, Outcome
from chaos.rows.deploying import NEVER_MAX_SIZE, deploy, max_size, new_max_size
from chaos.rows.keeping import LONG_SECONDS, RATE, SETTLED_SECONDS
from chaos.stage import Stage
from chaos.verdict import most_resumed, outcome_of_jobs
from harness import bounds
from harness.config import Change, Config, limits_of
from harness.service import Service

ANOTHER = "another"
"""Is in the reason why a service has no durable jobs while they are another's."""
BESIDE_SECONDS = 5.0
"""How long the first of two services is watched beside the second."""


def redeployed(stage: Stage) -> Outcome:
    """Changed settings: another keeper goes on."""
    new = new_max_size(stage)
    with durable_load(stage.url, RATE) as load:
        job = job_of(stage, LONG_SECONDS * stage.num_workers)
        before = until_kept(load, job, load.post(job))
        with ThreadPoolExecutor(1) as operator:
            deployed = operator.submit(deploy, stage, _same_jobs(stage), _largest(new))
            again = computed_again(load, job, before, 2 * bounds.KEEPER_FROZEN, resumed=True)
            report = deployed.result()
        load.settled(SETTLED_SECONDS)
    stage.until(stage.is_whole, 60)
    return outcome_of_jobs(
        load.history,
        Check("running", report["status"] == "RUNNING", 1, "="),
        Check("new settings in force", max_size(stage) == new, 1, "="),
        Check("computed by another keeper after the deploying began, s", again, bounds.KEEPER_FROZEN),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=5,
    )


def redeployed_badly(stage: Stage) -> Outcome:
    """A version that cannot be imported, then one whose ingress cannot be constructed, and then a good one."""
    with durable_load(stage.url, RATE) as load:
        job = job_of(stage, LONG_SECONDS * stage.num_workers)
        until_kept(load, job, load.post(job))
        failed = [
            deploy(stage, _same_jobs(stage), _largest(NEVER_MAX_SIZE), _built_by(path))
            for path in ("chaos.nothing:build", "chaos.broken:ingress_fails")
        ]
        old = max_size(stage)
        accepted = load.post(TINY)
        report = deploy(stage, _same_jobs(stage))
        load.settled(SETTLED_SECONDS)
    stage.until(stage.is_whole, 60)
    return outcome_of_jobs(
        load.history,
        Check("it says that they failed", sum(each["status"] == "DEPLOY_FAILED" for each in failed), 2, "="),
        Check("the old settings in force", old != NEVER_MAX_SIZE, 1, "="),
        Check("a job was accepted between them", bool(accepted.job_id), 1, "="),
        Check("running again with a good version", report["status"] == "RUNNING", 1, "="),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=5,
    )


def two_services(stage: Stage) -> Outcome:
    """A second service for the same file has no durable jobs, says so, and does everything else."""
    if stage.launch is None:
        raise RuntimeError("there can be no second service like this")
    with durable_load(stage.url, RATE) as load, stage.launch("--port", "0") as second:
        begun = time.monotonic()
        told = stage.until(lambda: ANOTHER in _reason(second), 4 * bounds.NO_STORE)
        counts, reason = durable_counts(second.url), _reason(second)
        time.sleep(max(0.0, BESIDE_SECONDS - (time.monotonic() - begun)))
        answer, _ = refusal(second.url)
        sync = asyncio.run(post(second.url, TINY.body))
        before = durable_counts(stage.url)
        load.settled(SETTLED_SECONDS)
    outcome = outcome_of_jobs(
        load.history,
        Check("the second says why it has none after, s", told, bounds.NO_STORE),
        Check("it says that they are not available", counts.get("available") is False, 1, "="),
        Check("its answer to a durable job", answer.status, 503, "="),
        Check("its Retry-After, s", float(answer.headers.get("retry-after", 0)), 1, ">="),
        Check("its other jobs are right", digest(sync.json()) == true_digest(TINY), 1, "="),
        Check("the first has them still", before.get("available") is True, 1, "="),
        Check("most often resumed", most_resumed(load.history), 0),
        *jobs_left(stage),
        least=3,
    )
    outcome.notes.append(f"the second says: {reason}")
    return outcome


def taken_over(stage: Stage) -> Outcome:
    """Two services, one database: the second waits; when the first is stopped, it goes on with the jobs."""
    if stage.launch is None:
        raise RuntimeError("there can be no second service like this")
    with durable_load(stage.url, RATE) as load, stage.launch("--port", "0") as second:
        job = job_of(stage, 2 * LONG_SECONDS * stage.num_workers)
        before = until_kept(load, job, load.post(job))
        told = stage.until(lambda: ANOTHER in _reason(second), 4 * bounds.NO_STORE)
        waits, _ = refusal(second.url)
        time.sleep(BESIDE_SECONDS)
        still = durable_counts(stage.url).get("available") is True
        before = load.look(job, before.job_id) or before
        stage.service.stop()
        load.url = second.url
        again = computed_again(load, job, before, 60, resumed=True)
        load.settled(SETTLED_SECONDS)
        resumed = most_resumed(load.history)
        there = durable_counts(second.url).get("available") is True
    return outcome_of_jobs(
        load.history,
        Check("the second says why it has none after, s", told, bounds.NO_STORE),
        Check("its answer to a durable job meanwhile", waits.status, 503, "="),
        Check("the first has them still", still, 1, "="),
        Check("computed by the second after the first ended, s", again, bounds.TAKEN_OVER),
        Check("the second has them then", there, 1, "="),
        Check("most often resumed", resumed, 1, "="),
        Check("it took over", math.isfinite(again), 1, "=", quiet=True),
        least=5,
    )


def _reason(service: Service) -> str:
    return str(durable_counts(service.url).get("reason"))


def _same_jobs(stage: Stage) -> Change:
    if stage.folder is None:
        raise RuntimeError("the durable jobs are in no folder")
    return jobs_in(stage.folder)


def _largest(size: int) -> Change:
    def change(config: Config) -> None:
        limits_of(config)["max_sequence_size"] = size

    return change


def _built_by(import_path: str) -> Change:
    def change(config: Config) -> None:
        config["applications"][0]["import_path"] = import_path

    return change

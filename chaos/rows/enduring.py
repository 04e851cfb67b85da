"""What durability costs, and whether the predicted end is the real one."""

import statistics
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from chaos.durable_jobs import job_of, jobs_left
from chaos.durable_load import durable_load
from chaos.history import Act, History, Seen
from chaos.jobs import JobSpec, digest, true_digest
from chaos.outcome import Check, Outcome
from chaos.stage import Stage
from chaos.verdict import outcome_of_jobs
from harness import bounds

ROUNDS, ROUND_SECONDS = 3, 20.0
"""A job of a minute would show the same ratio more exactly, and take six minutes."""
WATCHED_SECONDS = 10.0
FORECAST_CORE_SECONDS = (3.0, 5.0, 7.0, 8.0, 9.0, 9.0, 10.0, 11.0)
"""Half of them take turns while the others wait; half a minute on two workers."""
SETTLED_SECONDS = 180.0


def cost(stage: Stage) -> Outcome:
    """The same job synchronously and durably, in turns."""
    job = job_of(stage, ROUND_SECONDS * stage.num_workers)
    history, ratios, wrong = History(), [], 0
    with httpx.Client(base_url=stage.url, timeout=300) as client:
        for number in range(ROUNDS):
            seconds = {}
            for durable in (False, True) if number % 2 else (True, False):
                begun = time.perf_counter()
                if durable:
                    _post_and_wait(client, history, job)
                else:
                    answer = client.post("/fibonacci", json=job.body).raise_for_status().json()
                    wrong += digest(answer) != true_digest(job)
                seconds[durable] = time.perf_counter() - begun
            ratios.append(seconds[True] / seconds[False])
    return outcome_of_jobs(
        history,
        Check("durable / synchronous, median", statistics.median(ratios), bounds.DURABLE_COST),
        Check("durable / synchronous, least", min(ratios)),
        Check("durable / synchronous, most", max(ratios)),
        Check("the last synchronous one, s", seconds[False]),
        Check("synchronous ones that were wrong", wrong, 0, quiet=True),
        *jobs_left(stage),
        least=ROUNDS,
    )


def forecast(stage: Stage) -> Outcome:
    """Jobs of one caller, some under way and some waiting: what is predicted after ten seconds."""
    with durable_load(stage.url) as load:
        jobs = [job_of(stage, FORECAST_CORE_SECONDS[0])]
        sequence_seconds = FORECAST_CORE_SECONDS[0] / jobs[0].num_sequences
        jobs += [JobSpec(jobs[0].sequence_size, round(each / sequence_seconds)) for each in FORECAST_CORE_SECONDS[1:]]
        ids = [load.post(job).job_id for job in jobs]
        time.sleep(WATCHED_SECONDS)
        asked_at = datetime.now(UTC)
        predicted = {job_id: _time(_job(stage, job_id)["estimated_finish_at"]) for job_id in ids}
        load.settled(SETTLED_SECONDS)
        errors, silent = [], 0
        for job_id, said in predicted.items():
            finished = _time(_job(stage, job_id)["finished_at"])
            if finished is None or finished <= asked_at:
                continue
            if said is None:
                silent += 1
            else:
                errors.append(abs((said - finished).total_seconds()) / (finished - asked_at).total_seconds())
    outcome = outcome_of_jobs(
        load.history,
        Check("error / time left, median", statistics.median(errors) if errors else 1.0, bounds.FORECAST),
        Check("error / time left, most", max(errors, default=1.0)),
        Check("jobs predicted", len(errors), len(ids) / 2, ">="),
        Check("jobs under way without a prediction", silent, 0),
        *jobs_left(stage),
        least=len(ids),
    )
    outcome.notes.append("errors in the order of acceptance: " + ", ".join(f"{error:.2f}" for error in errors))
    return outcome


def _post_and_wait(client: httpx.Client, history: History, job: JobSpec) -> None:
    """A durable job, answered when it is done."""
    key = f"cost-{history.begun}-{history.now}"
    operation = history.invoke(Act.SUBMIT, job, key=key)
    headers = {"Prefer": "respond-async, wait=60", "Idempotency-Key": key}
    answer = client.post("/fibonacci", json=job.body, headers=headers).raise_for_status()
    history.told(operation, answer.status_code, Seen.of(answer.json()))


def _job(stage: Stage, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = httpx.get(f"{stage.url}/jobs/{job_id}", timeout=10).raise_for_status().json()
    return job


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

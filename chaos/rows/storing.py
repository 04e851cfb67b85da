"""The store of durable jobs fails: a full disk, and a database that stops, cuts connections or stands still."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos.caller import Answer
from chaos.durable_jobs import (
    LOOK_SECONDS,
    computed_again,
    durable_counts,
    job_of,
    jobs_left,
    refusal,
    until_kept,
)
from chaos.durable_load import durable_load
from chaos.outcome import Check, Outcome
from chaos.rows.keeping import LONG_SECONDS, RATE, SETTLED_SECONDS
from chaos.stage import Stage
from chaos.verdict import most_resumed, outcome_of_jobs
from harness import bounds
from harness.postgres import PostgresServer

FULL_SECONDS = 5.0
REFUSALS = 20
BLOCK = bytes(65_536)
DOWN_SECONDS, FROZEN_SECONDS, CUTS = 5.0, 30.0, 5
CALL_SECONDS = 2.0
"""How long an ingress waits for the keeper."""


def disk_full(stage: Stage) -> Outcome:
    """The disk of the durable jobs is full for a while: none is accepted, those under way are computed on."""
    if stage.folder is None:
        raise RuntimeError("the durable jobs are on no disk of their own")
    filling = Path(stage.folder, "filling")
    with durable_load(stage.url, RATE) as load:
        job = job_of(stage, 2 * LONG_SECONDS * stage.num_workers)
        posted = until_kept(load, job, load.post(job))
        _fill(filling)
        full = stage.until(lambda: refusal(stage.url)[0].status == 503, FULL_SECONDS)
        refusals: list[tuple[Answer, float]] = []
        until = time.monotonic() + FULL_SECONDS
        while time.monotonic() < until or len(refusals) < REFUSALS:
            refusals.append(refusal(stage.url))
            time.sleep(LOOK_SECONDS)
        reason = durable_counts(stage.url).get("reason")
        before = load.look(job, posted.job_id) or posted
        filling.unlink()
        accepted = stage.until(lambda: refusal(stage.url)[0].status == 202, 10 * bounds.DISK_FREE)
        again = computed_again(load, job, before, 10 * bounds.DURABLE_AGAIN, resumed=False)
        load.settled(SETTLED_SECONDS)
    statuses = [answer.status for answer, _ in refusals]
    outcome = outcome_of_jobs(
        load.history,
        Check("jobs are refused after, s", full, FULL_SECONDS),
        Check("refused with 503 / all", statuses.count(503) / len(statuses), 1, "="),
        Check("slowest of the refusals, s", max(seconds for _, seconds in refusals), bounds.DISK_FULL),
        Check("without Retry-After", sum("retry-after" not in answer.headers for answer, _ in refusals), 0),
        Check("accepted after there is space again, s", accepted, bounds.DISK_FREE),
        Check("more is kept after that, s", again, bounds.DURABLE_AGAIN),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=5,
    )
    outcome.notes.append(f"it says: {reason}")
    return outcome


def database_restarted(stage: Stage) -> Outcome:
    """PostgreSQL is stopped, and started again some seconds later."""

    @contextlib.contextmanager
    def stopped(database: PostgresServer) -> Iterator[None]:
        database.stop()
        yield
        database.start()

    return _without_database(stage, stopped, DOWN_SECONDS)


def database_frozen(stage: Stage) -> Outcome:
    """PostgreSQL stands still: its connections stay, and nothing comes."""
    return _without_database(stage, PostgresServer.frozen, FROZEN_SECONDS)


def connections_ended(stage: Stage) -> Outcome:
    """An administrator ends all connections, again and again."""
    if stage.database is None:
        raise RuntimeError("the durable jobs are in no database")
    ended = 0
    with durable_load(stage.url, RATE) as load:
        job = job_of(stage, LONG_SECONDS * stage.num_workers)
        posted = until_kept(load, job, load.post(job))
        for _ in range(CUTS):
            ended += stage.database.end_connections()
            time.sleep(2 * LOOK_SECONDS + 1)
        before = load.look(job, posted.job_id) or posted
        again = computed_again(load, job, before, 10 * bounds.DURABLE_AGAIN, resumed=False)
        load.settled(SETTLED_SECONDS)
    return outcome_of_jobs(
        load.history,
        Check("connections ended", ended, CUTS - 1, ">="),
        Check("more is kept after the last, s", again, bounds.DURABLE_AGAIN),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=5,
    )


def _without_database(
    stage: Stage, fault: Callable[[PostgresServer], contextlib.AbstractContextManager[None]], seconds: float
) -> Outcome:
    if stage.database is None:
        raise RuntimeError("the durable jobs are in no database")
    with durable_load(stage.url, RATE) as load:
        job = job_of(stage, (seconds + LONG_SECONDS) * stage.num_workers)
        posted = until_kept(load, job, load.post(job))
        with fault(stage.database):
            refusals: list[tuple[Answer, float]] = []
            until = time.monotonic() + seconds
            time.sleep(1.0)
            while time.monotonic() < until:
                refusals.append(refusal(stage.url))
                time.sleep(LOOK_SECONDS)
        before = load.look(job, posted.job_id) or posted
        again = computed_again(load, job, before, 10 * bounds.DURABLE_AGAIN, resumed=False)
        load.settled(SETTLED_SECONDS)
    return outcome_of_jobs(
        load.history,
        Check("jobs refused meanwhile", len(refusals), 1, ">="),
        Check("not with 503", sum(answer.status != 503 for answer, _ in refusals), 0),
        Check("slowest of the refusals, s", max(seconds for _, seconds in refusals), CALL_SECONDS + bounds.REFUSAL),
        Check("more is kept after it is back, s", again, bounds.DURABLE_AGAIN),
        Check("most often resumed", most_resumed(load.history)),
        *jobs_left(stage),
        least=5,
    )


def _fill(path: Path) -> None:
    """Until nothing more fits."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(BLOCK)
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(BLOCK[:512])

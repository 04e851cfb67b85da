"""Nodes of the Ray cluster that join and leave: on ``chaos.cluster``."""

import time

import httpx

from chaos.cluster import JOIN, LEAVE
from chaos.load import open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.rows.workers import SETTLE_SECONDS
from chaos.stage import Stage
from tests.serve import bounds
from tests.serve.processes import alive


def node_joins(stage: Stage, seconds: float = 25) -> Outcome:
    """A node joins: its worker soon computes."""
    before = _completed(stage)
    if len(before) != stage.num_workers:
        raise RuntimeError(f"GET /pool tells of {len(before)} workers instead of {stage.num_workers}")
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        stage.service.process.send_signal(JOIN)
        used = stage.until(lambda: any(n and w not in before for w, n in _completed(stage).items()), 60)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - used))
    stage.num_workers += 1
    stage.until(stage.is_whole, 30)
    return outcome_of(record, Check("its worker computes after, s", used, bounds.NEW_NODE_USED), *stage.left_behind())


def node_leaves(stage: Stage, seconds: float = 20) -> Outcome:
    """A node dies in the middle of jobs."""
    before = stage.workers()
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        stage.service.process.send_signal(LEAVE)
        gone = stage.until(lambda: len(alive(before)) < len(before), 30)
        stage.num_workers -= 1
        known = stage.until(stage.is_whole, 30)
        time.sleep(max(0.0, seconds - SETTLE_SECONDS - gone - known))
    died = len(before) - len(alive(before))
    return outcome_of(
        record,
        Check("workers gone with it", died, 1, ">="),
        Check("the pool knows after, s", known, bounds.WORKER_REPLACED),
        *stage.left_behind(),
    )


def _completed(stage: Stage) -> dict[str, int]:
    """Batches that each worker has completed, by its id."""
    try:
        return {worker["worker_id"]: worker["completed_batches"] for worker in stage.pool()["workers"]}
    except (httpx.HTTPError, ValueError):
        return {}

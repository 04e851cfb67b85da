"""Nodes of the Ray cluster that join and leave: on ``chaos.cluster``."""

import time

import httpx

from chaos.cluster import JOIN, LEAVE
from chaos.load import open_loop
from chaos.network import DOWN, UP
from chaos.outcome import Check, Outcome, outcome_of
from chaos.rows.workers import SETTLE_SECONDS
from chaos.stage import Stage
from harness import bounds
from harness.processes import alive


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


def node_cut_off(stage: Stage, seconds: float) -> Outcome:
    """A node's link is down for so long, and it is not dead: what is sent there hangs."""
    with open_loop(stage.url, stage.rate / 2) as record:
        time.sleep(SETTLE_SECONDS)
        stage.service.process.send_signal(DOWN)
        begun = time.monotonic()
        silent = stage.until(lambda: stage.live_workers() < stage.num_workers, seconds)
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
        stage.service.process.send_signal(UP)
        back = stage.until(stage.is_whole, bounds.CUT_OFF_BACK)
        had = _completed(stage)
        used = stage.until(lambda: all(n > had.get(worker, 0) for worker, n in _completed(stage).items()), 30)
        time.sleep(SETTLE_SECONDS)
    attempts = max(request.attempts for request in record.succeeded)
    return outcome_of(
        record,
        Check("its worker silent after, s", silent, seconds),
        Check("most attempts", attempts, 2),
        Check("all workers reply after, s", back, bounds.CUT_OFF_BACK),
        Check("all workers compute after, s", used, bounds.NEW_NODE_USED),
        *stage.left_behind(),
    )


def cut_off_for_15_s(stage: Stage) -> Outcome:
    """Nobody but the dispatcher has noticed yet."""
    return node_cut_off(stage, 15)


def cut_off_for_40_s(stage: Stage) -> Outcome:
    """Serve has given up on its worker, Ray not yet on the node."""
    return node_cut_off(stage, 40)


def _completed(stage: Stage) -> dict[str, int]:
    """Batches that each worker has completed, by its id."""
    try:
        return {worker["worker_id"]: worker["completed_batches"] for worker in stage.pool()["workers"]}
    except (httpx.HTTPError, ValueError):
        return {}

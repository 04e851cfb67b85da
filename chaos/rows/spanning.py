"""The keeper's node is lost, or cut off from the others, while durable jobs are in PostgreSQL."""

import math
from collections.abc import Callable

import psutil

from chaos.durable_jobs import KEEPER, computed_again, job_of, jobs_left, kill, until_kept
from chaos.durable_load import durable_load
from chaos.network import DOWN, UP
from chaos.outcome import Check, Outcome
from chaos.rows.keeping import LONG_SECONDS, RATE, SETTLED_SECONDS
from chaos.stage import Stage
from chaos.verdict import most_resumed, outcome_of_jobs
from harness import bounds

RAYLET = "--raylet_socket_name="
"""Part of a node's command line."""
MOVED_SECONDS = 60.0


def node_killed(stage: Stage) -> Outcome:
    """Every process of the keeper's node, `kill -9`: it goes on upon another."""

    def strike(raylet: psutil.Process) -> None:
        kill([raylet, *raylet.children(recursive=True)])
        stage.num_workers -= 1

    return _lost(stage, strike, lambda: None, bounds.KEEPER_FROZEN)


def node_cut_off(stage: Stage) -> Outcome:
    """The keeper's node reaches neither the others nor the database until another keeper goes on; its own lives on."""
    return _lost(
        stage,
        lambda _: stage.service.process.send_signal(DOWN),
        lambda: stage.service.process.send_signal(UP),
        bounds.KEEPER_CUT_OFF,
    )


def _lost(stage: Stage, strike: Callable[[psutil.Process], None], mend: Callable[[], None], bound: float) -> Outcome:
    """``strike`` gets the raylet of the keeper's node."""
    moved, raylet = _move(stage)
    with durable_load(stage.url, RATE / 2) as load:
        job = job_of(stage, 2 * LONG_SECONDS * stage.num_workers)
        before = until_kept(load, job, load.post(job))
        strike(raylet)
        again = computed_again(load, job, before, 2 * bound, resumed=True)
        mend()
        load.settled(SETTLED_SECONDS)
        whole = stage.until(stage.is_whole, 2 * bounds.CUT_OFF_BACK)
    return outcome_of_jobs(
        load.history,
        Check("the keeper was moved to the second node after, s", moved, MOVED_SECONDS, quiet=True),
        Check("computed again by another keeper after, s", again, bound),
        Check("most often resumed", most_resumed(load.history), 1, ">="),
        Check("whole again", math.isfinite(whole), 1, "=", quiet=True),
        *jobs_left(stage),
        least=3,
    )


def _move(stage: Stage) -> tuple[float, psutil.Process]:
    """Have the keeper replaced on the second node, which was not there when the first keeper was placed."""
    first, second = sorted(stage.processes(RAYLET), key=lambda raylet: raylet.create_time())
    if not _is_under(stage, second):
        kill(process for process in stage.processes(KEEPER) if first in process.parents())
    moved = stage.until(lambda: _is_under(stage, second), MOVED_SECONDS)
    if not math.isfinite(moved):
        raise RuntimeError("no keeper starts on the second node")
    return moved, second


def _is_under(stage: Stage, raylet: psutil.Process) -> bool:
    try:
        return any(raylet in process.parents() for process in stage.processes(KEEPER))
    except psutil.NoSuchProcess:
        return False

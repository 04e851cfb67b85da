"""Lanes: batches of one length do not hold up those of another. Each lane has places on every worker."""

from enum import IntEnum

from app.job import Execution, Job

SHORT_SECONDS = 0.010
"""Core-seconds of the longest job of the express lane: about a worker's slice. With 40 ms, tiny jobs waited for seconds
behind longer ones under overload."""
GATHERED_SECONDS = 0.040
"""Core-seconds that the express jobs in one batch may add up to. On its way a batch costs as much CPU time as a job of
5 ms, whatever is in it; with a limit of 10 ms hardly anything rode together."""
LONG_SECONDS = 1.0
"""Core-seconds beyond which a local job, which cannot be cut, is a long batch."""

MAX_FULL = 2
"""Full batches on a worker: one computing, one waiting, so that the worker never waits for the next."""
MAX_FULL_AND_EXPRESS = 3
"""So one place is always left for express batches, which need not wait until a full one ends."""
MAX_LONG = 2
"""Long batches on a worker, beside the others: it takes turns among all that it has."""


class Lane(IntEnum):
    """Which places a batch takes on a worker."""

    EXPRESS = 0
    FULL = 1
    LONG = 2


LONGEST_FIRST = (Lane.LONG, Lane.FULL, Lane.EXPRESS)
"""The order of filling places: express batches may take all that full ones have left, but not the other way round."""

Load = tuple[int, int, int]
"""Places taken on a worker, by lane."""

IDLE: Load = (0, 0, 0)
LOADS: list[Load] = [
    (express, full, long)
    for long in range(MAX_LONG + 1)
    for full in range(MAX_FULL + 1)
    for express in range(MAX_FULL_AND_EXPRESS - full + 1)
]
"""All that are possible."""


def lane_of(job: Job, core_seconds: float) -> Lane:
    """The lane of what is left of ``job``, which is predicted to cost ``core_seconds``.

    Not by how long it takes: then every job would be a longer one while other work uses the cores too.
    """
    if core_seconds <= SHORT_SECONDS:
        return Lane.EXPRESS
    return Lane.LONG if job.execution is Execution.LOCAL and core_seconds > LONG_SECONDS else Lane.FULL


def has_room(taken: Load, lane: Lane) -> bool:
    """Whether a worker with so many places taken has one left in ``lane``."""
    express, full, long = taken
    if lane is Lane.LONG:
        return long < MAX_LONG
    return express + full < MAX_FULL_AND_EXPRESS and (lane is Lane.EXPRESS or full < MAX_FULL)

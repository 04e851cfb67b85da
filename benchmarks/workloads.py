"""The work that every peer gets, and how much of it a run of the benchmark does."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once

JOBS = {"a": (100_000, CPUS), "b": (100_000, 64), "c": (1_000_000, 1)}
"""Letter of the table's column -> (terms of a sequence, number of sequences)."""
TINY_JOB = {"sequence_size": 10, "num_sequences": 1}
SMALL_SIZES = (37_000, 60_000, 100_000)
"""(i) Terms of one sequence that take 3, 8 and 20 ms: what many callers have."""
CONNECTIONS = 32
FEW_CONNECTIONS = 8
"""(i) Beside ``CONNECTIONS``."""
SETTLING_SECONDS = 5.0
"""(j) After the first answer: whatever still starts is no part of being idle."""
IDLE_SECONDS = 10.0
"""(j) How long a service is watched that has nothing to do."""
WARM_UPS = 3
"""Runs of (a), before any that counts."""


ONE_SEQUENCE = (1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000)
"""(s) Sizes of a single sequence, for the speed-up of cutting one."""
WHOLE_AT_MOST = 1_000_000
"""(s) Those that do not cut run one up to this size: beyond it their speed-up does not change."""


def steady(measure: Callable[[], float], sequence_size: int, num_sequences: int) -> float:
    """One long run, or the median of several short ones, such as (a), after another that is not counted."""
    if sequence_size > 100_000 or num_sequences > CPUS:
        return measure()
    return statistics.median([measure() for _ in range(6)][1:])


Job = dict[str, int]


def small_job(sequence_size: int) -> Job:
    """(i)"""
    return {"sequence_size": sequence_size, "num_sequences": 1}


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    visits: int
    """How often every peer is started; each visit begins with a warm-up that is not counted."""
    repeats: int
    """How often each work is measured in one visit; (g) and (s) once."""
    closed_seconds: float
    """(d); half of it (f), whose requests are all alike, and each of (i)."""
    open_seconds: float
    """(e) and each of (i)."""
    held_seconds: float
    """(g): how long tiny jobs arrive."""
    held_linger_seconds: float
    """(g): how long after the last arrival answers are waited for."""
    largest_one_sequence: int
    """(s)"""
    huge_visits: int = 0
    """(s) In how many visits the largest size of all is measured: it takes half a minute."""
    long_job_seconds: float = 60
    left_out: frozenset[str] = frozenset()
    """Peers that it has no time for."""
    whole_sequences: bool = True
    """Whether those that cannot split (c) run it whole: it takes them as long as the in-process loop."""

    def letters(self, letters: str, *, always_c: bool) -> str:
        """The work out of ``letters`` that there is time for."""
        return letters if self.whole_sequences or always_c else letters.replace("c", "")

    def one_sequence_sizes(self, visit: int) -> list[int]:
        """(s) of visit 1, 2, ..."""
        huge = [ONE_SEQUENCE[-1]] if visit <= self.huge_visits else []
        return [size for size in ONE_SEQUENCE if size <= self.largest_one_sequence] + huge


FULL = Effort(
    visits=7,
    repeats=1,
    closed_seconds=3,
    open_seconds=2.5,
    held_seconds=5,
    held_linger_seconds=5,
    largest_one_sequence=1_000_000,
    huge_visits=1,
)
QUICK = Effort(
    visits=1,
    repeats=1,
    closed_seconds=1,
    open_seconds=1,
    held_seconds=1,
    held_linger_seconds=2,
    largest_one_sequence=100_000,
    # Each takes a cluster of its own.
    left_out=frozenset(
        {"tutorial: run_remote", "Ray ActorPool", "service, actor calls", "Serve, idle worker, actor calls"}
    ),
    whole_sequences=False,
)


def long_job(seconds: float) -> dict[str, int]:
    """A job that should hold the whole pool for so long, within what the service admits."""
    sequence_size = 200_000
    started_at = time.perf_counter()
    compute_at_once(0, sequence_size)
    sequence_seconds = time.perf_counter() - started_at
    core_seconds = min(seconds * CPUS, 500)
    return {"sequence_size": sequence_size, "num_sequences": min(10_000, round(core_seconds / sequence_seconds))}

"""The work that every peer gets, and how much of it a run of the benchmark does."""

import time
from dataclasses import dataclass

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once

JOBS = {"a": (100_000, CPUS), "b": (100_000, 64), "c": (1_000_000, 1)}
"""Letter of issue 3 -> (terms of a sequence, number of sequences)."""
TINY_JOB = {"sequence_size": 10, "num_sequences": 1}
CONNECTIONS = 32


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    visits: int
    """How often every peer is started anew; each visit begins with a warm-up that is not counted."""
    repeats: int
    """How often each work is measured in one visit."""
    load_seconds: float
    long_job_seconds: float
    left_out: frozenset[str] = frozenset()
    """Peers that it has no time for."""
    whole_sequences: bool = True
    """Whether those that cannot split (c) run it whole: it takes them as long as the in-process loop."""

    def letters(self, letters: str, *, always_c: bool) -> str:
        """The work out of ``letters`` that there is time for."""
        return letters if self.whole_sequences or always_c else letters.replace("c", "")


FULL = Effort(visits=7, repeats=1, load_seconds=5, long_job_seconds=60)
QUICK = Effort(
    visits=1,
    repeats=2,
    load_seconds=1,
    long_job_seconds=3,
    # Each takes a cluster of its own.
    left_out=frozenset({"tutorial: run_remote", "Ray ActorPool", "service, gRPC", "Serve, idle worker, gRPC"}),
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

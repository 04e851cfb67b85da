"""One visit to a peer that runs a batch in one call: in a process of its own, so that none disturbs the next.

Run as ``python -m benchmarks.batch VISIT``, a ``Visit`` as JSON; prints one JSON list, a mapping a round.
"""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial

from benchmarks import memory
from benchmarks.peers import Run
from benchmarks.workloads import JOBS, WARM_UPS, steady

START_AND_RUN_SECONDS = 400.0


class VisitError(Exception):
    """The peer failed; the message is what it printed."""


@dataclass(frozen=True)
class Visit:
    """What one visit measures."""

    module: str
    """Of ``benchmarks.peers``; has ``start()``."""
    letters: str
    repeats: int
    one_sequence_sizes: list[int] = field(default_factory=list)
    """(s)"""
    arguments: list[int] = field(default_factory=list)
    """Of ``start()``."""
    memory: bool = False
    """Whether the peer computes in its own process, so that its memory means something."""


def pay(visit: Visit, prefix: tuple[str, ...]) -> list[dict[str, float]]:
    """Start the peer, warm it up, measure, stop it. Raises ``VisitError`` if it fails.

    ``prefix`` is what Python is started with: the interpreter's arguments, or an MPI launcher's.
    """
    command = [*prefix, "-m", "benchmarks.batch", json.dumps(asdict(visit))]
    try:
        done = subprocess.run(  # noqa: S603 (this module)
            command, capture_output=True, text=True, check=False, timeout=START_AND_RUN_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise VisitError(f"{visit.module}: not finished after {error.timeout} s") from None
    if done.returncode:
        raise VisitError(f"{visit.module}: {(done.stdout + done.stderr)[-2000:]}")
    rounds: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return rounds


def measure(visit: Visit) -> Iterator[dict[str, float]]:
    """A warm-up, then rounds of seconds; memory is that of the first run of (a)."""
    start = importlib.import_module(f"benchmarks.peers.{visit.module}").start
    with start(*visit.arguments) as run:
        run(10, 1)
        for number in range(WARM_UPS):
            before = memory.watch()
            run(*JOBS["a"])
            if visit.memory and not number:
                yield {"a_megabytes": memory.growth(before)}
        for _ in range(visit.repeats):
            yield {
                f"{letter}_seconds": steady(partial(time_job, run, *JOBS[letter]), *JOBS[letter])
                for letter in visit.letters
            }
        for size in visit.one_sequence_sizes:
            yield {f"s_seconds_{size}": steady(partial(time_job, run, size, 1), size, 1)}


def time_job(run: Run, sequence_size: int, num_sequences: int) -> float:
    """Seconds of one run; raises ``ArithmeticError`` if its sizes are wrong."""
    started_at = time.perf_counter()
    sizes = run(sequence_size, num_sequences)
    seconds = time.perf_counter() - started_at
    if sizes != [sequence_size] * num_sequences:
        raise ArithmeticError(f"{num_sequences} x {sequence_size}: wrong sizes")
    return seconds


if __name__ == "__main__":
    rounds = list(measure(Visit(**json.loads(sys.argv[1]))))
    sys.stdout.write("\n" + json.dumps(rounds) + "\n")

"""One visit to a peer that runs a batch in one call: in a process of its own, so that none disturbs the next.

Run as ``python -m benchmarks.batch NAME REPEATS LETTERS [CHUNKSIZE]``; prints one JSON list, a mapping a round.
"""

import importlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peers import Run
from benchmarks.workloads import JOBS

LEAST_MEGABYTES = 0.25
"""Linux counts a process's memory in steps of up to 64 pages; a smaller growth is given as this."""


class VisitError(Exception):
    """The peer failed; the message is what it printed."""


def visit(module: str, repeats: int, letters: str, *arguments: str) -> list[dict[str, float]]:
    """Start the peer, warm it up, measure, stop it. Raises ``VisitError`` if it fails."""
    command = [sys.executable, "-m", "benchmarks.batch", module, str(repeats), letters, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (this module)
    if done.returncode:
        raise VisitError(f"{module}: {done.stderr[-2000:]}")
    rounds: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return rounds


def measure(module: str, repeats: int, letters: str, *arguments: str) -> list[dict[str, float]]:
    """A warm-up, then ``repeats`` rounds of seconds; peak memory is that of the first run of (a)."""
    start = importlib.import_module(f"benchmarks.peers.{module}").start
    with start(*map(int, arguments)) as run:
        run(10, 1)
        peak_before = _peak_megabytes()
        for letter in letters.replace("c", ""):
            run(*JOBS[letter])
            if letter == "a":
                megabytes = max(_peak_megabytes() - peak_before, LEAST_MEGABYTES)
        rounds = [{f"{letter}_seconds": time_job(run, letter) for letter in letters} for _ in range(repeats)]
    if module in ("in_process", "tutorial_local"):
        rounds = [{**values, "a_megabytes": megabytes} for values in rounds]
    return rounds


def time_job(run: Run, letter: str) -> float:
    """Seconds of one run; raises ``ArithmeticError`` if its sizes are wrong."""
    sequence_size, num_sequences = JOBS[letter]
    started_at = time.perf_counter()
    sizes = run(sequence_size, num_sequences)
    seconds = time.perf_counter() - started_at
    if sizes != [sequence_size] * num_sequences:
        raise ArithmeticError(f"({letter}): wrong sizes")
    return seconds


def _peak_megabytes() -> float:
    """Most memory this program has held. ``getrusage`` would count what its parent held when it was forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])) + "\n")

"""``make demo``: the tutorial's comparison, run through the service. Starts it, measures, prints, stops it."""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.cpus import CPUS
from benchmarks.other_work import Busy, is_disturbing
from benchmarks.tutorial import run_local
from deployments.launcher.console import say
from harness.service import Service, StartError, launched

HEADER = (
    f"{'sequences x terms':>20}  {'local s':>8}  {'distributed s':>13}  {'speed-up':>8}  {'efficiency':>10}  workers"
)


@dataclass(frozen=True)
class Row:
    """Medians of one comparison."""

    num_sequences: int
    sequence_size: int
    local_seconds: float
    distributed_seconds: float
    pool_workers: int
    other_cores: float
    """How much of the cores other work took meanwhile."""

    @property
    def warning(self) -> str:
        """What to add if the figures are not a measurement, or nothing."""
        if not is_disturbing(self.other_cores, self.pool_workers):
            return ""
        return f"; no measure: other work took {self.other_cores:.1f} cores meanwhile"

    @property
    def speedup(self) -> float:
        return self.local_seconds / self.distributed_seconds

    def __str__(self) -> str:
        job = f"{self.num_sequences} x {self.sequence_size}"
        efficiency = self.speedup / self.pool_workers
        return (
            f"{job:>20}  {self.local_seconds:8.3f}  {self.distributed_seconds:13.3f}  {self.speedup:8.2f}"
            f"  {efficiency:10.2f}  {self.pool_workers:7}{self.warning}"
        )


def main() -> int:
    """Print the table; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are (default: %(default)s)")
    num_rounds: int = parser.parse_args().rounds
    try:
        say("starting the service (about 20 s) ...")
        with launched("--cpus", str(CPUS), hear=lambda line: say(f"  {line}")) as service:
            rows = _measure(service, num_rounds)
    except StartError as error:
        say(f"error: the service did not start: {str(error).splitlines()[-1]}")
        return 1
    except (httpx.HTTPError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 1
    best = rows[1]
    job = f"{best.num_sequences} x {best.sequence_size}, {best.pool_workers} workers"
    say(f"speed-up: {best.speedup:.2f} ({job}){best.warning}")
    return 0


def _measure(service: Service, num_rounds: int) -> list[Row]:
    say(f"the tutorial as published, run_local, {CPUS} x 100000 terms in lists (medians of {num_rounds}) ...")
    rounds = [_run_tutorial(100_000, CPUS) for _ in range(num_rounds + 1)][1:]
    seconds = statistics.median(seconds for seconds, _ in rounds)
    say(f"  {seconds:.3f} s, peak memory {rounds[0][1] / 1e6:.0f} MB")
    say(f"through the service (a warm-up dropped, medians of {num_rounds}):")
    say(HEADER)
    rows = []
    with httpx.Client(base_url=service.url, timeout=310, trust_env=False) as client:
        for num_sequences, sequence_size in ((CPUS, 100_000), (64, 100_000), (1, 1_000_000)):
            rows.append(_compare(client, num_sequences, sequence_size, num_rounds))
            say(str(rows[-1]))
    say(f"the tutorial's time over the service's for {CPUS} x 100000: {seconds / rows[0].distributed_seconds:.0f}")
    return rows


def _run_tutorial(sequence_size: int, num_sequences: int) -> tuple[float, int]:
    """Seconds, and peak bytes, of ``run_local`` in a process of its own: a peak is of a process's whole life."""
    code = f"from benchmarks import demo; demo.report_tutorial({sequence_size}, {num_sequences})"
    done = subprocess.run(  # noqa: S603 (this module)
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    seconds, peak_bytes = done.stdout.split()
    return float(seconds), int(peak_bytes)


def report_tutorial(sequence_size: int, num_sequences: int) -> None:
    """Run the tutorial's code once and print its seconds and this process's peak memory in bytes."""
    started_at = time.perf_counter()
    run_local(sequence_size, num_sequences)
    seconds = time.perf_counter() - started_at
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else peak * 1024
    say(f"{seconds} {peak_bytes}")


def _compare(client: httpx.Client, num_sequences: int, sequence_size: int, num_rounds: int) -> Row:
    body = {"num_sequences": num_sequences, "sequence_size": sequence_size}
    answers: list[dict[str, Any]] = []
    before, started_at = Busy.now(), time.perf_counter()
    for _ in range(num_rounds + 1):
        response = client.post("/fibonacci/compare", json=body)
        response.raise_for_status()
        answers.append(response.json())
    other_cores = Busy.now().others_since(before) / (time.perf_counter() - started_at)
    del answers[0]
    return Row(
        num_sequences,
        sequence_size,
        statistics.median(a["local"]["timing"]["total_seconds"] for a in answers),
        statistics.median(a["distributed"]["timing"]["total_seconds"] for a in answers),
        answers[-1]["pool_workers"],
        other_cores,
    )


if __name__ == "__main__":
    sys.exit(main())

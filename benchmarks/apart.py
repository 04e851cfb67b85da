"""``python -m benchmarks.apart``: the ratios that no peer of ``make bench`` gives, each of two things in turns.

The kernel over the same additions without slices, seed and check; the tutorial's lists over the kernel; one large job
on a service with two ingress replicas over one with one.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import repeat

import httpx
from gmpy2 import xmpz

from app.compute.slices import compute
from app.job import Segment
from app.kernels.fibonacci.task import FibonacciTask
from benchmarks.tutorial import generate_fibonacci
from deployments.launcher.console import say
from harness.config import changed_config, two_ingresses
from harness.service import launched

TERMS = 100_000
KERNEL_ROUNDS = 41
JOB = {"sequence_size": TERMS, "num_sequences": 128}
JOB_ROUNDS = 9


def main() -> None:
    """Print each ratio: the median of the rounds, the least and the greatest."""
    _say("kernel / the same additions alone", _ratios(_kernel_seconds, _bare_loop_seconds, KERNEL_ROUNDS))
    _say("the tutorial's lists / kernel", _ratios(_tutorial_seconds, _kernel_seconds, JOB_ROUNDS))
    with changed_config(two_ingresses) as path, launched() as one, launched("--config", str(path)) as two:
        seconds = [_job_seconds(service.url) for service in (one, two)]
        _say("128 x 100,000 terms, two ingress replicas / one", _ratios(seconds[1], seconds[0], JOB_ROUNDS))


def _bare_loop(num_terms: int) -> None:
    """What ``app.kernels.fibonacci.terms`` does for each term, and nothing else."""
    lower, upper = xmpz(0), xmpz(1)
    for _ in repeat(None, num_terms // 2):
        lower += upper
        upper += lower


def _kernel(num_terms: int) -> None:
    for _ in _slices(num_terms):
        pass


def _slices(num_terms: int) -> Iterator[None]:
    (result,) = yield from compute((Segment(FibonacciTask(num_terms), 0, num_terms),))
    if not result.verified:
        raise ArithmeticError("the check failed")


def _kernel_seconds() -> float:
    return _seconds(lambda: _kernel(TERMS))


def _bare_loop_seconds() -> float:
    return _seconds(lambda: _bare_loop(TERMS))


def _tutorial_seconds() -> float:
    return _seconds(lambda: generate_fibonacci(TERMS))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _job_seconds(url: str) -> Callable[[], float]:
    """What the service says that the job took."""

    def measure() -> float:
        answer = httpx.post(f"{url}/fibonacci", json=JOB, timeout=300).raise_for_status().json()
        return float(answer["timing"]["total_seconds"])

    return measure


def _ratios(one: Callable[[], float], other: Callable[[], float], num_rounds: int) -> list[float]:
    """In turns, so that both have the same moments of a noisy machine; the first two rounds warm up."""
    return [one() / other() for _ in range(2 + num_rounds)][2:]


def _say(what: str, ratios: list[float]) -> None:
    say(f"{what}: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()

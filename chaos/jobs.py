"""The mixed jobs that load the service, what they cost, and what their answers have to be."""

import functools
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gmpy2

from app.kernels.fibonacci.task import FibonacciTask
from app.queue.cost import CostModel

LEAST_SIZE, GREATEST_SIZE, MOST_SEQUENCES = 10, 300_000, 4
GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927
"""Steps of two sequences that fill 0..1 evenly: a few seconds of jobs already have the whole mixture's mean cost."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job to post."""

    sequence_size: int
    num_sequences: int
    local: bool = False
    """Whether it goes in one call to one worker."""

    @property
    def body(self) -> dict[str, Any]:
        """What is posted."""
        body = {"sequence_size": self.sequence_size, "num_sequences": self.num_sequences}
        return body | {"execution": "local"} if self.local else body

    @property
    def cost(self) -> float:
        """Core-seconds by the cost model's defaults: a measure of work that does not depend on the moment."""
        return CostModel().seconds(FibonacciTask(self.sequence_size), 0, self.sequence_size, self.num_sequences)


class LocalJob(JobSpec):
    """One worker computes it all, in one call."""

    @property
    def body(self) -> dict[str, Any]:
        return super().body | {"execution": "local"}


def mixed_jobs() -> Iterator[JobSpec]:
    """Endless: 10 to 300,000 terms, evenly over the orders of magnitude, 1 to 4 sequences."""
    number = 0
    while True:
        number += 1
        place = number * GOLDEN % 1.0
        size = LEAST_SIZE * math.pow(GREATEST_SIZE / LEAST_SIZE, place)
        yield JobSpec(round(size), 1 + int(MOST_SEQUENCES * (number * PLASTIC % 1.0)))


@functools.lru_cache(maxsize=100_000)
def true_last_term(sequence_size: int) -> tuple[int, int, int, str]:
    """Index, digits, bits and SHA-256 of the last term, by GMP's own Fibonacci function, not by ``app``'s code."""
    term = gmpy2.fib(sequence_size - 1)
    number = int(term)
    data = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    return sequence_size - 1, len(term.digits()), number.bit_length(), hashlib.sha256(data).hexdigest()


Digest = tuple[tuple[int, ...], tuple[int, int, int, str]]


def digest(answer: dict[str, Any]) -> Digest:
    """What can be wrong in an answer: the sizes, and all of the last term."""
    last = answer["last_term"]
    return tuple(answer["sizes"]), (last["index"], last["num_digits"], last["bit_length"], last["sha256"])


def true_digest(job: JobSpec) -> Digest:
    """The digest of the right answer."""
    return (job.sequence_size,) * job.num_sequences, true_last_term(job.sequence_size)

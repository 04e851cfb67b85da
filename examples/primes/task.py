"""Counting primes as a task: one line, whose units are the numbers."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

from app.kernel import CheckFailedError, Part
from examples.primes.sieves import base_primes, eratosthenes, sundaram

BLOCK = 500_000
"""Numbers between two yields: 2 to 20 ms."""


@dataclass(frozen=True, slots=True)
class PrimesTask:
    """How many primes are among ``length`` numbers from ``first``?"""

    kernel: ClassVar[str] = "primes"
    core_seconds: ClassVar[tuple[float, ...]] = (2e-8, 4e-9, 6e-7)
    """Measured on an AMD EPYC core with numpy 2.4."""

    first: int
    length: int
    num_lines: ClassVar[int] = 1

    def work(self, start: int, stop: int) -> tuple[float, ...]:
        """The greatest number's square root (base primes), numbers, and roots times blocks (the sieves' loops)."""
        root = math.sqrt(self.first + stop)
        return 1_000 + root, stop - start, root * ((stop - start) / BLOCK)

    def compute(self, start: int, stop: int) -> Generator[int, None, Part]:
        """Sieve block by block, first by one sieve, then all of it by the other."""
        low, high = self.first + start, self.first + stop
        primes = base_primes(high)
        found = 0
        for block in range(low, high, BLOCK):
            end = min(block + BLOCK, high)
            found += eratosthenes(block, end, primes)
            yield end - block
        counted_again = 0
        for block in range(low, high, BLOCK):
            counted_again += sundaram(block, min(block + BLOCK, high))
            yield 0
        if found != counted_again:
            raise CheckFailedError
        return Part(found)

    def join(self, left: Part, right: Part) -> Part:
        """The sum."""
        assert isinstance(left.found, int)  # noqa: S101 (for the type checker)
        assert isinstance(right.found, int)  # noqa: S101
        return Part(left.found + right.found)

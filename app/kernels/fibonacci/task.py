"""Fibonacci as a task: lines are sequences, units are terms."""

import math
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from typing import ClassVar

from app.kernel import CheckFailedError, Part
from app.kernels.fibonacci.terms import BITS_PER_INDEX, TermGenerator

WORDS_PER_SQUARED_INDEX = BITS_PER_INDEX / 64 / 2
DOUBLINGS_PER_SEGMENT = 10_000.0
"""A segment's fixed cost (two microseconds), in units of n log2(n)."""
DIGEST = 2.5
"""What a digest of the pair at n costs, in units of n bit operations: a tenth of doubling at 10,000,000."""
CORE_SECONDS = (2.2e-10, 8e-8, 3.5e-10)
"""For one doubling, one term and one word, measured on an AMD EPYC core with GMP 6.3."""


@dataclass(frozen=True, slots=True)
class FibonacciTask:
    """``num_sequences`` sequences of the terms F(0) .. F(sequence_size - 1)."""

    kernel: ClassVar[str] = "fibonacci"
    core_seconds: ClassVar[tuple[float, ...]] = CORE_SECONDS

    sequence_size: int
    num_sequences: int = 1

    @property
    def length(self) -> int:
        return self.sequence_size

    @property
    def num_lines(self) -> int:
        return self.num_sequences

    def work(self, start: int, stop: int) -> tuple[float, ...]:
        """Doublings, terms and words.

        * Doublings: seeding at ``start`` and checking at the sequence's end, each about n log2(n) bit operations (fast
          doubling's last multiplications dominate); digests at cuts; and what a segment costs whatever its size;
        * terms: the additions themselves, however small;
        * words: the 64-bit words that those additions touch. F(n) has ``BITS_PER_INDEX * n`` bits, so the terms
          start..stop-1 have ``BITS_PER_INDEX / 64 * (stop**2 - start**2) / 2`` words.
        """
        seed = start * (math.log2(start + 2) + DIGEST)
        check = stop * (math.log2(stop + 2) if stop == self.sequence_size else DIGEST)
        return (
            DOUBLINGS_PER_SEGMENT + seed + check,
            stop - start,
            WORDS_PER_SQUARED_INDEX * (stop * stop - start * start),
        )

    def compute(self, start: int, stop: int) -> Generator[int, None, Part | Callable[[], Part]]:
        """Generate the terms. What is found at a sequence's end is its last term.

        There it is checked. At a cut the next segment's seed is the check of this one's terms, since it comes from fast
        doubling. Seeding, checking and hashing a term are one uninterruptible call each (57 ms at index 10,000,000).
        """
        terms = TermGenerator(start, stop)
        opens = terms.digest() if start > 0 else None
        while not terms.done:
            yield terms.advance()
        if stop < self.sequence_size:
            return Part(opens=opens, closes=terms.digest())
        if not terms.verify():
            raise CheckFailedError
        return lambda: self._found(terms, opens)

    def _found(self, terms: TermGenerator, opens: str | None) -> Part:
        # In a short sequence, hashing the last term costs more than generating it.
        last_term = terms.last_term()
        return Part(None if last_term is None else asdict(last_term), opens)

    def join(self, left: Part, right: Part) -> Part:
        """The last term is where the sequence ends."""
        return Part(right.found, left.opens, right.closes)

"""The kernel: generates the terms of a Fibonacci sequence, one addition a term.

A term's index is its place in the sequence: F(0) = 0, F(1) = 1. Nothing here knows about jobs, HTTP or Ray.
"""

import hashlib
from dataclasses import dataclass
from itertools import repeat

import gmpy2
from gmpy2 import mpz, xmpz

BITS_PER_INDEX = 0.6942419136306174
"""log2 of the golden ratio: F(n) has about n times this many bits."""


class TermGenerator:
    """Generates the terms ``start`` .. ``stop - 1``, holding two numbers and never the list.

    The state is the pair F(position - 1), F(position). Fast doubling (``gmpy2.fib2``: GMP's
    mpz_fib2_ui) seeds it anywhere; from there every term costs one addition, in place.
    ``verify`` compares the pair at ``stop`` with fast doubling again: a different algorithm, exact.
    """

    __slots__ = ("_lower", "_upper", "position", "start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop:
            raise ValueError(f"not a segment: {start}..{stop}")
        upper, lower = gmpy2.fib2(start)
        self._lower, self._upper = xmpz(lower), xmpz(upper)
        self.start = self.position = start
        self.stop = stop

    @property
    def done(self) -> bool:
        return self.position == self.stop

    def advance(self) -> int:
        """Generate the next terms, for 0.1 to 0.5 ms; returns how many.

        That is often enough for slices of 10 ms up to index 50,000,000, and too rare to cost a percent.
        """
        num_terms = min(8 + 100_000_000 // (200_000 + self.position), self.stop - self.position)
        self._generate(num_terms)
        return num_terms

    def _generate(self, num_terms: int) -> None:
        # Two in-place additions a turn, so that the pair need not be swapped: 15 % faster than
        # `lower, upper = upper, lower + upper`, which allocates a number a term.
        lower, upper = self._lower, self._upper
        for _ in repeat(None, num_terms // 2):
            lower += upper
            upper += lower
        if num_terms % 2:
            lower += upper
            lower, upper = upper, lower
        self._lower, self._upper = lower, upper
        self.position += num_terms

    def verify(self) -> bool:
        """Whether the generated pair is F(position - 1), F(position), by fast doubling."""
        upper, lower = gmpy2.fib2(self.position)
        return bool(self._upper == upper and self._lower == lower)

    def digest(self) -> str:
        """SHA-256 over both numbers of the pair, each as its length and its bytes: 8 and little-endian."""
        digest = hashlib.sha256()
        for number in (self._lower, self._upper):
            num_bytes = (number.bit_length() + 7) // 8
            digest.update(num_bytes.to_bytes(8, "little") + mpz(number).to_bytes(num_bytes, "little"))
        return digest.hexdigest()

    def last_term(self) -> "LastTerm | None":
        """The last generated term, F(position - 1); None if there is none yet."""
        if self.position == self.start:
            return None
        return LastTerm.of(self.position - 1, mpz(self._lower))


@dataclass(frozen=True, slots=True)
class LastTerm:
    """Identifies a term without sending millions of digits."""

    index: int
    num_digits: int
    """Decimal digits, exact."""
    bit_length: int
    sha256: str
    """Hex digest over the term's big-endian bytes, as few as hold it, at least one."""

    @classmethod
    def of(cls, index: int, term: mpz) -> "LastTerm":
        bit_length = term.bit_length()
        num_bytes = max(1, (bit_length + 7) // 8)
        digest = hashlib.sha256(int(term).to_bytes(num_bytes, "big")).hexdigest()
        return cls(index, count_digits(term), bit_length, digest)


def count_digits(number: mpz) -> int:
    """Decimal digits of a non-negative number, exactly: 0 has one.

    ``mpz.num_digits(10)`` is exact or one too many (GMP, mpz_sizeinbase), so it is only an estimate.
    """
    estimate = int(number.num_digits(10))
    if estimate > 1 and number < mpz(10) ** (estimate - 1):
        return estimate - 1
    return estimate

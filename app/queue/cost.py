"""How long a segment will be computed, and the inverse: where to cut so that a piece takes so long.

The model is linear in three kinds of work, so that one batch of many segments is a sum:

* ``doublings``: seeding at ``start`` and checking at ``stop``, each about n log2(n) bit operations
  (fast doubling's last multiplications dominate), and what a segment costs whatever its size;
* ``terms``: the additions themselves, however small;
* ``words``: the 64-bit words that those additions touch. F(n) has ``BITS_PER_INDEX * n`` bits, so the
  terms start..stop-1 have ``BITS_PER_INDEX / 64 * (stop**2 - start**2) / 2`` words.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from app.job import Segment
from app.kernels.fibonacci.terms import BITS_PER_INDEX

WORDS_PER_SQUARED_INDEX = BITS_PER_INDEX / 64 / 2
DOUBLINGS_PER_SEGMENT = 10_000.0
"""A segment's fixed cost (two microseconds), in units of n log2(n)."""


@dataclass(frozen=True, slots=True)
class Work:
    """Amounts of the three kinds of work; they add up."""

    doublings: float = 0.0
    terms: float = 0.0
    words: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.doublings + other.doublings, self.terms + other.terms, self.words + other.words)


def work_of(start: int, stop: int, count: int = 1) -> Work:
    """The work of ``count`` segments of terms ``start`` .. ``stop - 1``."""
    return Work(
        count * (DOUBLINGS_PER_SEGMENT + _doublings(start) + _doublings(stop)),
        count * (stop - start),
        count * WORDS_PER_SQUARED_INDEX * (stop * stop - start * start),
    )


def work_of_segments(segments: Iterable[Segment]) -> Work:
    """The work of a whole batch."""
    return sum((work_of(s.start, s.stop, s.count) for s in segments), Work())


def _doublings(index: int) -> float:
    return index * math.log2(index + 2)


DEFAULT_SECONDS = (2.2e-10, 8e-8, 3.5e-10)
"""Core-seconds (of CPU time) a unit of doublings, terms and words, measured on an AMD EPYC core with GMP 6.3."""

NOISE_VARIANCE = 0.1**2
"""A batch's CPU time on a shared machine strays by about a tenth."""
MIN_SECONDS = 0.005
"""A batch that costs less teaches no constant: its time is mostly that of cold caches."""
DRIFT_VARIANCE = 0.02**2
"""How far a constant is believed to move from one batch to the next: caches, neighbours, clocks."""
MACHINE_VARIANCE = 2.0**2
"""How far the machine may be from the one measured on, all constants alike, before the first batch."""
CONSTANT_VARIANCE = 0.5**2
"""How far one constant may be from the others, before the first batch and after long disuse."""
MIN_FACTOR = 0.05
"""No constant falls below this part of its default: costs stay positive."""
SPEED_SECONDS = 2.0
"""Core-seconds of batches after which what was known of the speed before counts for 1/e."""
MAX_NEWS_SECONDS = 0.5
"""A batch counts with no more core-seconds: one that stood still for long does not tell of a slow pool."""
IDLE_SECONDS = 30.0
"""Idle seconds after which what was known of the speed counts for 1/e: what others take of the cores may have ended."""


class CostModel:
    """Predicts core-seconds, and how long they take; starts from measured defaults and follows what batches report.

    The constants are tracked, as factors of their defaults, by a Kalman filter (R. E. Kalman, 1960)
    with a random walk: three numbers and a 3 x 3 covariance. Plain least-mean-squares steps were tried
    and stayed 60 % wrong after 50 batches in the constant that batches use least; least squares with
    exponential forgetting forgets what the last batches did not use.

    They are learnt from CPU time. Elapsed time was tried: beside a flood of tiny requests it is five times as long, and
    after the flood large jobs were still refused as too costly. What others take of the cores is the ``speed``.
    """

    __slots__ = ("_covariance", "_factors", "seconds_per_unit", "speed")

    def __init__(self, seconds_per_unit: tuple[float, float, float] = DEFAULT_SECONDS) -> None:
        self.seconds_per_unit = seconds_per_unit
        """Seconds a unit that it takes to compute, as ``DEFAULT_SECONDS`` at full speed."""
        self.speed = 1.0
        """Core-seconds that a computing worker has got a second lately; less than 1 where others use the cores too."""
        self._factors = [now / default for now, default in zip(seconds_per_unit, DEFAULT_SECONDS, strict=True)]
        self._covariance = [[MACHINE_VARIANCE + CONSTANT_VARIANCE * (i == j) for j in range(3)] for i in range(3)]

    def seconds(self, work: Work) -> float:
        """Predicted seconds that a worker takes to compute this much."""
        per_doubling, per_term, per_word = self.seconds_per_unit
        return per_doubling * work.doublings + per_term * work.terms + per_word * work.words

    def segment_seconds(self, start: int, stop: int, count: int = 1) -> float:
        """Predicted seconds of ``count`` segments of terms ``start`` .. ``stop - 1``."""
        return self.seconds(work_of(start, stop, count))

    def overhead_seconds(self, index: int) -> float:
        """Predicted seconds of one seed and one check at about ``index``: what a cut there costs."""
        return self.seconds_per_unit[0] * (DOUBLINGS_PER_SEGMENT + 2 * _doublings(index))

    def stop_for(self, start: int, seconds: float) -> int:
        """The ``stop`` at which a segment from ``start`` is predicted to cost ``seconds``; at least start + 1.

        Solves per_term * x + per_word * (2 * start * x + x**2) = seconds - seed - check for
        x = stop - start, with the check taken at ``start``: within one batch it hardly grows.
        """
        _, per_term, per_word = self.seconds_per_unit
        budget = max(0.0, seconds - self.overhead_seconds(start))
        quadratic = per_word * WORDS_PER_SQUARED_INDEX
        linear = per_term + 2 * start * quadratic
        # The form of the quadratic formula that loses no digits when `quadratic` is tiny.
        root = math.sqrt(linear * linear + 4 * quadratic * budget)
        return start + max(1, int(2 * budget / (linear + root)))

    def observe(self, work: Work, seconds: float, core_seconds: float) -> None:
        """Learn from a batch that was computed for ``seconds`` and used ``core_seconds`` of CPU time."""
        if min(seconds, core_seconds) <= 0:
            return
        news = 1 - math.exp(-min(core_seconds, MAX_NEWS_SECONDS) / SPEED_SECONDS)
        self.speed += news * (min(1.0, core_seconds / seconds) - self.speed)
        if core_seconds >= MIN_SECONDS:
            self._update(work, core_seconds)
        self._set_seconds_per_unit()

    def was_idle(self, seconds: float) -> None:
        """Nothing has been computed for so long."""
        self.speed = 1 - (1 - self.speed) * math.exp(-seconds / IDLE_SECONDS)
        self._set_seconds_per_unit()

    def _update(self, work: Work, core_seconds: float) -> None:
        """One Kalman step on the relative error of the predicted core-seconds."""
        units = (work.doublings, work.terms, work.words)
        shares = [d * u / core_seconds for d, u in zip(DEFAULT_SECONDS, units, strict=True)]
        covariance, factors = self._covariance, self._factors
        for i in range(3):
            if covariance[i][i] < CONSTANT_VARIANCE:
                covariance[i][i] += DRIFT_VARIANCE * factors[i] ** 2
        projected = [sum(c * s for c, s in zip(row, shares, strict=True)) for row in covariance]
        spread = NOISE_VARIANCE + sum(s * p for s, p in zip(shares, projected, strict=True))
        error = 1 - sum(s * f for s, f in zip(shares, factors, strict=True))
        for i in range(3):
            factors[i] = max(MIN_FACTOR, factors[i] + projected[i] / spread * error)
            for j in range(3):
                covariance[i][j] -= projected[i] * projected[j] / spread

    def _set_seconds_per_unit(self) -> None:
        per_doubling, per_term, per_word = (
            factor * default / self.speed for factor, default in zip(self._factors, DEFAULT_SECONDS, strict=True)
        )
        self.seconds_per_unit = per_doubling, per_term, per_word

"""How long a segment will take to compute, and the inverse: where to cut so that a piece takes a given time.

The model is linear in the kinds of work that a kernel names, so that one batch of many segments is a sum.
"""

import math
from collections.abc import Iterable

from app.job import Segment
from app.kernel import Task

Work = tuple[float, ...]
"""Amounts of each kind of work; they add up."""


def work_of(segments: Iterable[Segment]) -> Work:
    """The work of a whole batch; its segments are of one kernel."""
    each = [[s.count * amount for amount in s.task.work(s.start, s.stop)] for s in segments]
    return tuple(map(sum, zip(*each, strict=True)))


NOISE_VARIANCE = 0.1**2
"""A batch's CPU time on a shared machine varies by about a tenth."""
MIN_SECONDS = 0.005
"""Nothing about the constants is learnt from a cheaper batch: its time is mostly that of cold caches."""
DRIFT_VARIANCE = 0.003**2
"""How far a constant is believed to move in a core-second of batches: caches, neighbours, clocks. A neighbour on the
same core makes them cost a third more for a second or two, and then no longer: what waits is computed with and without
it."""
MACHINE_VARIANCE = 2.0**2
"""How far the machine may be from the one measured on, all constants alike, before the first batch."""
CONSTANT_VARIANCE = 0.5**2
"""How far one constant may be from the others, before the first batch and after long disuse."""
MIN_FACTOR = 0.05
"""No constant falls below this fraction of its default: costs stay positive."""
SPEED_SECONDS = 2.0
"""After so many core-seconds of batches, what was known of the speed before counts for 1/e."""
MAX_NEWS_SECONDS = 0.5
"""A batch counts for no more core-seconds: one that stood still for long does not mean that the pool is slow."""
IDLE_SECONDS = 30.0
"""After so many idle seconds, what was known of the speed counts for 1/e: other work on the cores may have ended."""


class Prices:
    """What one of each kind of a kernel's work costs, in core-seconds.

    The prices are tracked, as factors of the kernel's own figures, by a Kalman filter (R. E. Kalman, 1960) with a
    random walk: a number each and their covariance. Plain least-mean-squares steps were tried and stayed 60 % wrong
    after 50 batches in the price that batches use least; least squares with exponential forgetting forgets what the
    last batches did not use.
    """

    __slots__ = ("_covariance", "_defaults", "_factors", "core_seconds")

    def __init__(self, core_seconds: tuple[float, ...]) -> None:
        self.core_seconds = self._defaults = core_seconds
        kinds = range(len(core_seconds))
        self._factors = [1.0 for _ in kinds]
        self._covariance = [[MACHINE_VARIANCE + CONSTANT_VARIANCE * (i == j) for j in kinds] for i in kinds]

    def learn(self, work: Work, core_seconds: float) -> None:
        """One Kalman step on the relative error of the predicted core-seconds."""
        covariance, factors, kinds = self._covariance, self._factors, range(len(work))
        shares = [default * amount / core_seconds for default, amount in zip(self._defaults, work, strict=True)]
        for i in kinds:
            if covariance[i][i] < CONSTANT_VARIANCE:
                covariance[i][i] += DRIFT_VARIANCE * core_seconds * factors[i] ** 2
        projected = [sum(c * s for c, s in zip(row, shares, strict=True)) for row in covariance]
        spread = NOISE_VARIANCE + sum(s * p for s, p in zip(shares, projected, strict=True))
        error = 1 - sum(s * f for s, f in zip(shares, factors, strict=True))
        for i in kinds:
            factors[i] = max(MIN_FACTOR, factors[i] + projected[i] / spread * error)
            for j in kinds:
                covariance[i][j] -= projected[i] * projected[j] / spread
        self.core_seconds = tuple(map(float.__mul__, factors, self._defaults))


class CostModel:
    """Predicts core-seconds, and how long they take; starts from kernels' own figures and follows what batches report.

    Each kernel has prices of its own; all share the pool's speed, which is what other work leaves of the cores. Prices
    are learnt from CPU time. Elapsed time was tried: beside a flood of tiny requests it is five times as long, and
    after the flood large jobs were still refused as too costly.
    """

    __slots__ = ("_prices", "speed")

    def __init__(self) -> None:
        self.speed = 1.0
        """Core-seconds a second that a computing worker has had lately; less than 1 if others use the cores too."""
        self._prices: dict[str, Prices] = {}

    def prices(self, task: Task) -> Prices:
        """The prices of the task's kernel."""
        if (prices := self._prices.get(task.kernel)) is None:
            prices = self._prices[task.kernel] = Prices(task.core_seconds)
        return prices

    def seconds(self, task: Task, start: int, stop: int, count: int = 1) -> float:
        """Predicted seconds of units ``start`` .. ``stop - 1`` of ``count`` lines."""
        return count * self._seconds(task, task.work(start, stop))

    def batch_seconds(self, segments: Iterable[Segment]) -> float:
        """Predicted seconds of all of them."""
        return sum(self.seconds(s.task, s.start, s.stop, s.count) for s in segments)

    def stop_for(self, task: Task, start: int, seconds: float) -> int:
        """The greatest ``stop`` for which units ``start`` .. ``stop - 1`` take at most ``seconds``; at least start + 1.

        By bisection, 1 to 2 microseconds a step: that is what a cut inside a line costs.
        """
        enough, too_much = start + 1, task.length + 1
        while too_much - enough > 1:
            middle = (enough + too_much) // 2
            if self.seconds(task, start, middle) <= seconds:
                enough = middle
            else:
                too_much = middle
        return enough

    def observe(self, segments: Iterable[Segment], seconds: float, core_seconds: float) -> None:
        """Learn from a batch that was computed for ``seconds`` and used ``core_seconds`` of CPU time."""
        segments = tuple(segments)
        if not segments or min(seconds, core_seconds) <= 0:
            return
        news = 1 - math.exp(-min(core_seconds, MAX_NEWS_SECONDS) / SPEED_SECONDS)
        self.speed += news * (min(1.0, core_seconds / seconds) - self.speed)
        if core_seconds >= MIN_SECONDS:
            self.prices(segments[0].task).learn(work_of(segments), core_seconds)

    def was_idle(self, seconds: float) -> None:
        """Note that nothing has been computed for so long."""
        self.speed = 1 - (1 - self.speed) * math.exp(-seconds / IDLE_SECONDS)

    def _seconds(self, task: Task, work: Work) -> float:
        return sum(map(float.__mul__, self.prices(task).core_seconds, map(float, work))) / self.speed

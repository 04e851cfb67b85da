"""Runs the segments of a batch in slices: what a worker's compute thread does."""

import time
from collections.abc import Callable, Generator, Sequence

from app.job import Segment, SegmentResult
from app.kernel import CheckFailedError, Part

SLICE_SECONDS = 0.010
"""Long enough to hide the hop into the compute thread (0.1 ms), short enough to take turns and to stop."""


def compute(
    segments: Sequence[Segment],
    slice_seconds: float = SLICE_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[None, None, tuple[SegmentResult, ...]]:
    """Compute and check every segment; yields after each slice, so that the caller can turn to others.

    Only the time between a resumption and the next yield counts as computing.
    """
    results = []
    begun = clock()
    until = begun + slice_seconds
    for segment in segments:
        compute_seconds = 0.0
        tally = _Tally(segment)
        for num_units in tally.steps():
            tally.num_units += num_units
            if (now := clock()) >= until:
                compute_seconds += now - begun
                yield
                begun = clock()
                until = begun + slice_seconds
        part = tally.part
        compute_seconds += (now := clock()) - begun
        begun = now
        results.append(SegmentResult(tally.num_units, segment.count, tally.verified, compute_seconds, part))
    return tuple(results)


class _Tally:
    """How far a segment has been computed."""

    __slots__ = ("_found", "_segment", "num_units", "verified")

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self.num_units = 0
        self.verified = True
        self._found: Part | Callable[[], Part] | None = None

    def steps(self) -> Generator[int, None, None]:
        """Yields the units done since the last yield; the clock may be read after each."""
        task, start, stop = self._segment.task, self._segment.start, self._segment.stop
        for _ in range(self._segment.count):
            try:
                self._found = yield from task.compute(start, stop)
            except CheckFailedError:
                self.verified = False
            yield 0  # checking took its time, too

    @property
    def part(self) -> Part | None:
        """What was found in the last line that passed its check."""
        return self._found() if callable(self._found) else self._found

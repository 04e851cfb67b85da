"""Runs the segments of a batch in slices: what a worker's compute thread does."""

import time
from collections.abc import Callable, Generator, Sequence

from app.job import Segment, SegmentResult
from app.kernels.fibonacci.terms import LastTerm, TermGenerator

SLICE_SECONDS = 0.010
"""Long enough to hide the hop into the compute thread (0.1 ms), short enough to take turns and to stop."""


def compute(
    segments: Sequence[Segment],
    slice_seconds: float = SLICE_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[None, None, tuple[SegmentResult, ...]]:
    """Generate and check every segment; yields after each slice, so that the caller can look round.

    Only the time between a resumption and the next yield counts as computing. Seeding, checking and
    hashing a term are one uninterruptible call each (57 ms at index 10,000,000).
    """
    results = []
    begun = clock()
    until = begun + slice_seconds
    for segment in segments:
        compute_seconds = 0.0
        num_terms = 0
        verified = True
        last_term: LastTerm | None = None
        for number in range(1, segment.count + 1):
            terms = TermGenerator(segment.start, segment.stop)
            while True:
                terms.advance(until, clock)
                if (now := clock()) >= until:
                    compute_seconds += now - begun
                    yield
                    begun = clock()
                    until = begun + slice_seconds
                if terms.done:
                    break
            num_terms += terms.position - terms.start
            verified = terms.verify() and verified
            if segment.wants_last_term and number == segment.count:
                last_term = terms.last_term()
            if (now := clock()) >= until:
                compute_seconds += now - begun
                yield
                begun = clock()
                until = begun + slice_seconds
        compute_seconds += (now := clock()) - begun
        begun = now
        results.append(SegmentResult(num_terms, segment.count, verified, compute_seconds, last_term))
    return tuple(results)

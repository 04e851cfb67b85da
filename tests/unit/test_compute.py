"""Slices: a worker's compute thread looks round often, and counts only the time it computed."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict

import gmpy2
import pytest

from app.compute.slices import compute
from app.job import Segment, SegmentResult
from app.kernel import Part
from app.kernels.fibonacci.terms import LastTerm, TermGenerator
from tests.tasks import segment

Slices = Generator[None, None, tuple[SegmentResult, ...]]


class TickingClock:
    """Every look takes a second; ``pass_by`` lets time pass between looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


def finish(slices: Slices) -> tuple[int, tuple[SegmentResult, ...]]:
    """Run all slices; how often it yielded, and its results."""
    num_yields = 0
    while True:
        try:
            next(slices)
        except StopIteration as end:
            results: tuple[SegmentResult, ...] = end.value
            return num_yields, results
        num_yields += 1


def results_of(*segments: Segment) -> Sequence[SegmentResult]:
    return finish(compute(segments, math.inf))[1]


def test_yields_after_each_slice(clock: TickingClock) -> None:
    few, _ = finish(compute([segment(0, 100_000)], 100.0, clock))
    many, _ = finish(compute([segment(0, 100_000)], 10.0, clock))
    assert few > 1
    assert many == pytest.approx(10 * few, rel=0.2)


def test_a_slice_is_as_long_as_asked(clock: TickingClock) -> None:
    slices = compute([segment(0, 100_000)], 20.0, clock)
    next(slices)
    assert clock.now == pytest.approx(20.0, abs=3.0)


def test_a_batch_shorter_than_a_slice_does_not_yield(clock: TickingClock) -> None:
    num_yields, results = finish(compute([segment(0, 50), segment(0, 60)], 1_000.0, clock))
    assert num_yields == 0
    assert [result.num_units for result in results] == [50, 60]


def test_many_short_segments_share_a_slice_and_yield_too(clock: TickingClock) -> None:
    num_yields, _ = finish(compute([segment(0, 10, count=100)] * 2, 50.0, clock))
    assert num_yields >= 4


def test_empty_sequences_yield_too(clock: TickingClock) -> None:
    num_yields, (result,) = finish(compute([segment(0, 0, count=1_000)], 50.0, clock))
    assert num_yields > 5
    assert (result.num_units, result.count, result.verified) == (0, 1_000, True)


def test_only_the_time_between_resumption_and_yield_counts(clock: TickingClock) -> None:
    slices = compute([segment(0, 100_000)], 50.0, clock)
    paused = 0.0
    for _ in range(3):
        next(slices)
        clock.pass_by(1_000_000.0)
        paused += 1_000_000.0
    num_yields, (result,) = finish(slices)
    assert result.compute_seconds == pytest.approx(clock.now - paused - (3 + num_yields), abs=2.0)


def test_the_segments_of_a_batch_split_its_time(clock: TickingClock) -> None:
    num_yields, results = finish(compute([segment(0, 50_000), segment(50_000, 100_000)], 50.0, clock))
    assert all(result.compute_seconds > 0 for result in results)
    total = sum(result.compute_seconds for result in results)
    assert total == pytest.approx(clock.now - num_yields, abs=2.0)


def test_counts_the_terms_of_every_segment() -> None:
    results = results_of(segment(0, 100, length=101), segment(40, 100, count=3), segment(5, 5))
    assert [(result.num_units, result.count) for result in results] == [(100, 1), (180, 3), (0, 1)]
    assert all(result.verified for result in results)


def test_a_last_term_is_found_where_a_sequence_ends() -> None:
    silent, asking = results_of(segment(0, 100, length=101), segment(40, 100, count=3))
    assert silent.part == Part(closes=TermGenerator(100, 100).digest())
    assert asking.part == Part(asdict(LastTerm.of(99, gmpy2.fib(99))), opens=TermGenerator(40, 40).digest())


def test_neighbours_agree_about_the_cut_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """One has added up to it, the other begins there by another algorithm; neither is checked in another way."""
    monkeypatch.setattr(TermGenerator, "verify", lambda _: False)
    left, right, here = results_of(
        segment(0, 700, length=1_001), segment(700, 1_000, length=1_001), segment(700, 700, length=1_001)
    )
    assert left.verified
    assert right.verified
    assert left.part is not None
    assert right.part is not None
    assert left.part.closes == right.part.opens is not None
    assert here.part == Part(None, left.part.closes, left.part.closes)


def test_the_last_term_of_many_sequences_is_described_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing it costs more than generating it where it is short."""
    asked: list[int] = []
    monkeypatch.setattr(TermGenerator, "last_term", lambda terms: asked.append(terms.position))
    results_of(segment(0, 100, count=50))
    assert asked == [100]


def test_an_empty_sequence_has_no_last_term() -> None:
    (result,) = results_of(segment(0, 0))
    assert result.part == Part()


def test_a_wrong_pair_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TermGenerator, "verify", lambda _: False)
    (result,) = results_of(segment(0, 100))
    assert not result.verified


def test_one_wrong_sequence_among_many_spoils_the_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts: Iterator[bool] = iter([True, False, True, True])
    monkeypatch.setattr(TermGenerator, "verify", lambda _: next(verdicts))
    wrong, right = results_of(segment(0, 100, count=3), segment(0, 100))
    assert not wrong.verified
    assert right.verified


def test_closing_it_between_slices_ends_the_computation(clock: TickingClock) -> None:
    slices = compute([segment(0, 10_000_000)], 10.0, clock)
    next(slices)
    slices.close()
    assert clock.now < 20.0

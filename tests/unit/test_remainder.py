"""What is left of a job: whatever the cuts, every unit is handed out exactly once, in order."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.job import Execution, Job, Segment
from app.kernels.fibonacci.task import FibonacciTask
from app.queue.cost import CostModel
from app.queue.remainder import SNAP, Remainder

SIZES = st.one_of(st.integers(0, 50), st.integers(0, 3_000_000))
BUDGETS = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e-3), st.floats(1e-3, 100.0)), min_size=1, max_size=200)


def remainder_of(size: int, num_lines: int = 1, execution: Execution = Execution.DISTRIBUTED) -> Remainder:
    return Remainder(Job("", FibonacciTask(size, num_lines), execution), CostModel())


def stretches(segments: Sequence[Segment]) -> list[tuple[int, ...]]:
    """Start, stop, and how many lines if it is not one."""
    return [(s.start, s.stop) if s.count == 1 else (s.start, s.stop, s.count) for s in segments]


def cuts(left: Remainder, budgets: list[float]) -> Iterator[tuple[Segment, ...]]:
    """Cut with these budgets, then whatever is left at once."""
    for seconds in budgets:
        if left.exhausted:
            return
        yield left.cut(seconds)
    while not left.exhausted:
        yield left.cut(1e9)


@given(SIZES, st.integers(1, 300), BUDGETS)
def test_the_cuts_tile_the_line_exactly(size: int, num_lines: int, budgets: list[float]) -> None:
    left = remainder_of(size, num_lines)
    line = position = 0
    for segments in cuts(left, budgets):
        for segment in segments:
            assert segment.start == position
            assert segment.count == 1 or (segment.start, segment.stop) == (0, size)
            assert segment.stop > segment.start or size == 0
            ends = segment.stop == size
            line, position = line + segment.count * ends, 0 if ends else segment.stop
        assert left.line == line
    assert (line, position) == (num_lines, 0)


@given(SIZES, st.integers(1, 300), st.floats(0.0, 10.0))
def test_a_local_job_is_one_stretch(size: int, num_lines: int, seconds: float) -> None:
    left = remainder_of(size, num_lines, Execution.LOCAL)
    assert left.cut(seconds) == (Segment(FibonacciTask(size, num_lines), 0, size, num_lines),)
    assert left.exhausted


@given(st.integers(1, 3_000_000), st.integers(1, 300), BUDGETS)
def test_a_piece_costs_about_what_was_asked_for(size: int, num_lines: int, budgets: list[float]) -> None:
    left, cost = remainder_of(size, num_lines), CostModel()
    for asked in budgets:
        if left.exhausted:
            return
        seconds = max(asked, 20 * left.cut_seconds)
        predicted = cost.batch_seconds(left.cut(seconds))
        assert predicted <= SNAP * seconds * 1.03


@given(st.integers(0, 3_000_000), st.integers(1, 300), BUDGETS)
def test_what_remains_never_grows(size: int, num_lines: int, budgets: list[float]) -> None:
    """But for the seed and the check of a cut inside a line."""
    left, cost = remainder_of(size, num_lines), CostModel()
    before = left.seconds
    for _ in cuts(left, budgets):
        assert left.seconds <= before + cost.seconds(FibonacciTask(size), size, size)
        before = left.seconds
    assert before == 0.0


def test_nothing_but_the_job_is_predicted_at_first() -> None:
    assert remainder_of(1_000, 7).seconds == pytest.approx(CostModel().seconds(FibonacciTask(1_000), 0, 1_000, 7))


def test_empty_lines_are_one_stretch_if_the_budget_is_enough() -> None:
    assert stretches(remainder_of(0, 10_000).cut(1.0)) == [(0, 0, 10_000)]


def test_empty_lines_can_be_cut() -> None:
    left, cost = remainder_of(0, 10_000), CostModel()
    (segment,) = left.cut(10 * cost.seconds(FibonacciTask(0), 0, 0))
    assert (segment.start, segment.stop) == (0, 0)
    assert 10 <= segment.count <= 12


def test_a_cut_without_a_budget_still_makes_one_step() -> None:
    assert stretches(remainder_of(5).cut(0.0)) == [(0, 1)]
    assert stretches(remainder_of(0, 2).cut(0.0)) == [(0, 0)]


def test_what_is_left_of_a_line_after_one_unit_is_a_segment_of_its_own() -> None:
    left = remainder_of(5, 3)
    assert stretches(left.cut(0.0)) == [(0, 1)]
    assert stretches(left.cut(1.0)) == [(1, 5), (0, 5, 2)]


def test_whole_lines_are_one_segment() -> None:
    each = CostModel().seconds(FibonacciTask(1_000), 0, 1_000)
    assert stretches(remainder_of(1_000, 100).cut(10.5 * each)) == [(0, 1_000, 12)]


def test_a_cut_snaps_to_the_end_of_a_line_that_is_near() -> None:
    each = CostModel().seconds(FibonacciTask(100_000), 0, 100_000)
    assert stretches(remainder_of(100_000, 3).cut(each / (SNAP * 0.99))) == [(0, 100_000)]


def test_a_cut_that_begins_inside_a_line_takes_whole_ones_behind_it() -> None:
    left, each = remainder_of(100_000, 5), CostModel().seconds(FibonacciTask(100_000), 0, 100_000)
    (head,) = left.cut(each / 2)
    assert stretches(left.cut(2.6 * each)) == [(head.stop, 100_000), (0, 100_000, 2)]


def test_a_cut_costs_the_more_the_further_it_is() -> None:
    left = remainder_of(10_000_000)
    assert left.cut_seconds < left.mean_cut_seconds
    left.cut(100.0)
    assert 0 < left.cut_seconds < left.mean_cut_seconds

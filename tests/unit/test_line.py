"""A job as a line of terms: whatever the cuts, every term is handed out exactly once, in order."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.job import Execution, Job, Segment
from app.queue.cost import CostModel
from app.queue.line import OVERHEAD_LIMIT, SNAP, Line

SIZES = st.one_of(st.integers(0, 50), st.integers(0, 3_000_000))
BUDGETS = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e-3), st.floats(1e-3, 100.0)), min_size=1, max_size=200)


def line_of(size: int, num_sequences: int = 1, execution: Execution = Execution.DISTRIBUTED) -> Line:
    return Line(Job("", size, num_sequences, execution), CostModel())


def cuts(line: Line, budgets: list[float]) -> Iterator[tuple[Segment, ...]]:
    """Cut with these budgets, then whatever is left at once."""
    for seconds in budgets:
        if line.exhausted:
            return
        yield line.cut(seconds)
    while not line.exhausted:
        yield line.cut(1e9)


@given(SIZES, st.integers(1, 300), BUDGETS)
def test_the_cuts_tile_the_line_exactly(size: int, num_sequences: int, budgets: list[float]) -> None:
    line = line_of(size, num_sequences)
    sequence = position = 0
    for segments in cuts(line, budgets):
        for segment in segments:
            assert segment.start == position
            assert segment.count == 1 or (segment.start, segment.stop) == (0, size)
            assert segment.stop > segment.start or size == 0
            ends = segment.stop == size
            sequence, position = sequence + segment.count * ends, 0 if ends else segment.stop
        assert line.sequence == sequence
    assert (sequence, position) == (num_sequences, 0)


@given(SIZES, st.integers(1, 300), BUDGETS)
def test_exactly_the_last_segment_wants_the_last_term(size: int, num_sequences: int, budgets: list[float]) -> None:
    segments = [segment for cut in cuts(line_of(size, num_sequences), budgets) for segment in cut]
    assert [s.wants_last_term for s in segments] == [False] * (len(segments) - 1) + [True]


@given(SIZES, st.integers(1, 300), st.floats(0.0, 10.0))
def test_a_local_job_is_one_stretch(size: int, num_sequences: int, seconds: float) -> None:
    line = line_of(size, num_sequences, Execution.LOCAL)
    assert line.cut(seconds) == (Segment(0, size, num_sequences, wants_last_term=True),)
    assert line.exhausted


@given(st.integers(1, 3_000_000), st.integers(1, 300), BUDGETS)
def test_a_piece_costs_about_what_was_asked_for(size: int, num_sequences: int, budgets: list[float]) -> None:
    line, cost = line_of(size, num_sequences), CostModel()
    for asked in budgets:
        if line.exhausted:
            return
        seconds = line.floor_seconds(asked)
        predicted = sum(cost.segment_seconds(s.start, s.stop, s.count) for s in line.cut(seconds))
        assert predicted <= SNAP * seconds * 1.03


@given(st.integers(0, 3_000_000), st.integers(1, 300), BUDGETS)
def test_what_remains_never_grows(size: int, num_sequences: int, budgets: list[float]) -> None:
    """But for the seed and the check of a cut inside a sequence."""
    line, cost = line_of(size, num_sequences), CostModel()
    before = line.remaining_seconds
    for _ in cuts(line, budgets):
        assert line.remaining_seconds <= before + cost.overhead_seconds(size)
        before = line.remaining_seconds
    assert before == 0.0


def test_nothing_but_the_job_is_predicted_at_first() -> None:
    assert line_of(1_000, 7).remaining_seconds == pytest.approx(CostModel().segment_seconds(0, 1_000, 7))


def test_empty_sequences_are_one_stretch_if_the_budget_is_enough() -> None:
    assert line_of(0, 10_000).cut(1.0) == (Segment(0, 0, 10_000, wants_last_term=True),)


def test_empty_sequences_can_be_cut() -> None:
    line, cost = line_of(0, 10_000), CostModel()
    (segment,) = line.cut(10 * cost.segment_seconds(0, 0))
    assert (segment.start, segment.stop) == (0, 0)
    assert 10 <= segment.count <= 12


def test_a_cut_without_a_budget_still_makes_one_step() -> None:
    assert line_of(5).cut(0.0) == (Segment(0, 1),)
    assert line_of(0, 2).cut(0.0) == (Segment(0, 0),)


def test_what_is_left_of_a_sequence_after_one_term_is_a_segment_of_its_own() -> None:
    line = line_of(5, 3)
    assert line.cut(0.0) == (Segment(0, 1),)
    assert line.cut(1.0) == (Segment(1, 5), Segment(0, 5, 2, wants_last_term=True))


def test_whole_sequences_are_one_segment() -> None:
    each = CostModel().segment_seconds(0, 1_000)
    assert line_of(1_000, 100).cut(10.5 * each) == (Segment(0, 1_000, 12),)


def test_a_cut_snaps_to_the_end_of_a_sequence_that_is_near() -> None:
    each = CostModel().segment_seconds(0, 100_000)
    assert line_of(100_000, 3).cut(each / (SNAP * 0.99)) == (Segment(0, 100_000),)


def test_a_cut_that_begins_inside_a_sequence_takes_whole_ones_behind_it() -> None:
    line, each = line_of(100_000, 5), CostModel().segment_seconds(0, 100_000)
    (head,) = line.cut(each / 2)
    assert line.cut(2.6 * each) == (Segment(head.stop, 100_000), Segment(0, 100_000, 2))


def test_the_floor_keeps_seed_and_check_a_small_part() -> None:
    line, cost = line_of(10_000_000), CostModel()
    line.cut(100.0)
    (segment,) = line.cut(line.floor_seconds(0.010))
    overhead = cost.overhead_seconds(segment.start)
    assert cost.segment_seconds(segment.start, segment.stop) >= 0.99 * OVERHEAD_LIMIT * overhead


def test_the_floor_is_what_was_asked_for_where_seeds_are_cheap() -> None:
    assert line_of(1_000).floor_seconds(0.010) == 0.010

"""The cost model: its inverse, what it implies for cuts, and how it learns."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.job import Segment
from app.queue.cost import DEFAULT_SECONDS, IDLE_SECONDS, CostModel, Work, work_of, work_of_segments

WRONG = list(itertools.product((1 / 5, 1.0, 5.0), repeat=3))
MIXED = [
    Segment(0, 100_000),
    Segment(0, 1_000, count=1_000),
    Segment(900_000, 920_000),
    Segment(9_000_000, 9_001_000),
    Segment(0, 300_000),
    Segment(3_000_000, 3_020_000),
]
"""Batches in which each of the three kinds of work has its turn."""


def scaled(factors: tuple[float, ...]) -> tuple[float, float, float]:
    doublings, terms, words = (f * d for f, d in zip(factors, DEFAULT_SECONDS, strict=True))
    return doublings, terms, words


def watch(cost: CostModel, true: CostModel, num_batches: int, noise: float) -> None:
    """Let ``cost`` observe batches of mixed sizes on a machine that is really like ``true``."""
    rng = random.Random(1)  # noqa: S311 (the same batches every time)
    for _ in range(num_batches):
        like = rng.choice(MIXED)
        stop = like.start + int((like.stop - like.start) * rng.uniform(0.2, 1.0))
        work = work_of(like.start, stop, like.count)
        learn(cost, work, true.seconds(work) * rng.gauss(1.0, noise))


def learn(cost: CostModel, work: Work, core_seconds: float, speed: float = 1.0) -> None:
    """Observe a batch that got ``speed`` core-seconds a second."""
    cost.observe(work, core_seconds / speed, core_seconds)


def assert_agree(cost: CostModel, true: CostModel) -> None:
    """Within 20 %, whatever kind of work prevails."""
    for segment in MIXED:
        work = work_of_segments([segment])
        assert cost.seconds(work) == pytest.approx(true.seconds(work), rel=0.2)


def test_the_additions_of_two_pieces_are_those_of_the_whole() -> None:
    pieces, whole = work_of(0, 400) + work_of(400, 1_000), work_of(0, 1_000)
    assert (pieces.terms, pieces.words) == pytest.approx((whole.terms, whole.words))
    assert pieces.doublings > whole.doublings


def test_a_cut_costs_another_seed_and_check() -> None:
    cost = CostModel()
    pieces = cost.segment_seconds(0, 700_000) + cost.segment_seconds(700_000, 1_000_000)
    assert pieces - cost.segment_seconds(0, 1_000_000) == pytest.approx(cost.overhead_seconds(700_000))


def test_many_sequences_cost_many_times_one() -> None:
    cost = CostModel()
    assert cost.segment_seconds(5, 1_000, count=300) == pytest.approx(300 * cost.segment_seconds(5, 1_000))


def test_a_batch_costs_the_sum_of_its_segments() -> None:
    segments = [Segment(0, 100, 3), Segment(50, 1_000), Segment(0, 0, 2)]
    assert work_of_segments(segments) == sum((work_of(s.start, s.stop, s.count) for s in segments), Work())


def test_an_empty_sequence_costs_something() -> None:
    assert CostModel().segment_seconds(0, 0) > 0


@given(st.integers(0, 50_000_000), st.integers(0, 1_000_000))
def test_words_are_counted_as_the_additions_touch_them(start: int, length: int) -> None:
    """F(n) has 0.694 n bits; the sum over the segment, by its mean."""
    mean_index = start + length / 2
    assert work_of(start, start + length).words == pytest.approx(length * 0.6942419 / 64 * mean_index, rel=1e-6)


@given(st.integers(0, 50_000_000), st.floats(0.000_1, 10_000.0))
def test_stop_for_is_the_inverse_of_seconds(start: int, seconds: float) -> None:
    """To a term, with the check taken at ``start``: that is how it is documented."""
    cost = CostModel()
    stop = cost.stop_for(start, seconds)
    additions = cost.segment_seconds(start, stop) - cost.segment_seconds(stop, stop) / 2
    additions -= cost.segment_seconds(start, start) / 2
    one_term = cost.segment_seconds(stop, stop + 1) - cost.segment_seconds(stop, stop)
    budget = max(0.0, seconds - cost.overhead_seconds(start))
    assert stop > start
    assert stop == start + 1 or additions == pytest.approx(budget, rel=1e-6, abs=1.01 * one_term)


@given(st.integers(0, 50_000_000), st.floats(0.001, 1_000.0))
def test_a_piece_costs_what_was_asked_for_or_little_more(start: int, seconds: float) -> None:
    cost = CostModel()
    seconds = max(seconds, 20 * cost.overhead_seconds(start))  # no shorter piece is ever cut
    piece_seconds = cost.segment_seconds(start, cost.stop_for(start, seconds))
    assert 0.99 * seconds < piece_seconds < 1.03 * seconds


@given(st.integers(0, 100_000_000), st.floats(-1.0, 1e-9))
def test_a_piece_has_at_least_one_term(start: int, seconds: float) -> None:
    assert CostModel().stop_for(start, seconds) == start + 1


@pytest.mark.parametrize("num_pieces", [2, 4, 10])
def test_cuts_of_a_long_sequence_approach_the_square_root_law(num_pieces: int) -> None:
    cost, size, stop = CostModel(), 50_000_000, 0
    piece_seconds = cost.segment_seconds(0, size) / num_pieces
    for j in range(1, num_pieces):
        stop = cost.stop_for(stop, piece_seconds)
        assert stop == pytest.approx(size * math.sqrt(j / num_pieces), rel=0.02)


@pytest.mark.parametrize("factors", WRONG)
def test_constants_that_start_wrong_are_right_after_fifty_batches(factors: tuple[float, float, float]) -> None:
    cost, true = CostModel(scaled(factors)), CostModel()
    watch(cost, true, num_batches=50, noise=0.03)
    assert_agree(cost, true)


@pytest.mark.parametrize("factors", WRONG)
def test_an_unlike_machine_is_known_after_fifty_batches(factors: tuple[float, float, float]) -> None:
    cost, true = CostModel(), CostModel(scaled(factors))
    watch(cost, true, num_batches=50, noise=0.03)
    assert_agree(cost, true)


def test_the_first_batch_tells_the_speed_of_the_machine() -> None:
    cost, work = CostModel(), work_of(0, 100_000)
    learn(cost, work, 5 * cost.seconds(work))
    assert cost.seconds(work) == pytest.approx(5 * CostModel().seconds(work), rel=0.05)
    assert cost.segment_seconds(0, 300_000) == pytest.approx(5 * CostModel().segment_seconds(0, 300_000), rel=0.2)


def test_follows_a_machine_that_becomes_slower() -> None:
    cost, slower = CostModel(), CostModel(scaled((2.0, 2.0, 2.0)))
    watch(cost, CostModel(), num_batches=50, noise=0.03)
    watch(cost, slower, num_batches=100, noise=0.03)
    assert_agree(cost, slower)


def test_batches_of_microseconds_hardly_count() -> None:
    cost, work = CostModel(), work_of(0, 10)
    watch(cost, CostModel(), num_batches=50, noise=0.03)
    for _ in range(50):
        learn(cost, work, 10 * cost.seconds(work))
    assert_agree(cost, CostModel())


@given(
    st.lists(
        st.tuples(st.integers(0, 50_000_000), st.integers(0, 1_000_000), st.floats(-1.0, 1e6), st.floats(-1.0, 1e6)),
        max_size=60,
    )
)
def test_constants_stay_positive_whatever_is_observed(observed: list[tuple[int, int, float, float]]) -> None:
    cost = CostModel()
    for start, length, seconds, core_seconds in observed:
        cost.observe(work_of(start, start + length), seconds, core_seconds)
        assert all(0 < constant < math.inf for constant in cost.seconds_per_unit)
        assert 0 < cost.speed <= 1


def test_a_batch_that_took_no_time_teaches_nothing() -> None:
    cost = CostModel()
    cost.observe(work_of(0, 0), 0.0, 0.0)
    assert (cost.seconds_per_unit, cost.speed) == (DEFAULT_SECONDS, 1.0)


def test_where_others_use_the_core_too_it_takes_longer_and_costs_the_same() -> None:
    cost, work = CostModel(), work_of(0, 100_000)
    core_seconds = cost.seconds(work)
    for _ in range(500):
        learn(cost, work, core_seconds, speed=0.25)
    assert cost.seconds(work) == pytest.approx(4 * core_seconds, rel=0.05)
    assert cost.seconds(work) * cost.speed == pytest.approx(core_seconds)
    for _ in range(500):
        learn(cost, work, core_seconds)
    assert cost.seconds(work) == pytest.approx(core_seconds, rel=0.05)


def test_the_speed_follows_within_seconds_of_computing_whatever_the_size_of_the_batches() -> None:
    small, large = CostModel(), CostModel()
    for _ in range(200):
        learn(small, work_of(0, 0), 0.010, speed=0.25)
    for _ in range(20):
        learn(large, work_of(0, 0), 0.100, speed=0.25)
    assert small.speed == pytest.approx(large.speed) == pytest.approx(0.25 + 0.75 / math.e)


@pytest.mark.parametrize("core_seconds", [0.2, 8.0])
def test_one_batch_that_stood_still_does_not_tell_of_a_slow_pool(core_seconds: float) -> None:
    cost = CostModel()
    cost.observe(work_of(0, 0), core_seconds + 12.0, core_seconds)
    assert cost.speed > 0.85


def test_what_was_known_of_the_speed_is_forgotten_while_nothing_is_computed() -> None:
    cost, work = CostModel(), work_of(0, 100_000)
    core_seconds = cost.seconds(work)
    for _ in range(500):
        learn(cost, work, core_seconds, speed=0.25)
    cost.was_idle(IDLE_SECONDS)
    assert cost.speed == pytest.approx(1 - 0.75 / math.e, rel=0.02)
    cost.was_idle(10 * IDLE_SECONDS)
    assert cost.seconds(work) == pytest.approx(core_seconds, rel=0.01)


def test_more_cpu_time_than_time_is_full_speed() -> None:
    cost = CostModel()
    cost.observe(work_of(0, 0), 1.0, 1.001)
    assert cost.speed == 1.0

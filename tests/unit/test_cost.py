"""The cost model: its inverse, what it implies for cuts, and how it learns."""

import itertools
import math
import random
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.job import Segment
from app.kernels.fibonacci.task import CORE_SECONDS, FibonacciTask
from app.queue.cost import IDLE_SECONDS, CostModel, Prices, work_of
from tests.tasks import segment

WRONG = list(itertools.product((1 / 5, 1.0, 5.0), repeat=3))
MIXED = [
    segment(0, 100_000),
    segment(0, 1_000, count=1_000),
    segment(900_000, 920_000),
    segment(9_000_000, 9_001_000),
    segment(0, 300_000),
    segment(3_000_000, 3_020_000),
]
"""Batches in which each of the three kinds of work has its turn."""
TASK = FibonacciTask(100_000)
EMPTY = segment(0, 0)


def priced(factors: tuple[float, ...]) -> CostModel:
    """One that believes, or a machine on which, each kind of work costs so many times the kernel's own figure."""
    cost = CostModel()
    prices = cost.prices(TASK)
    prices._factors = list(factors)
    prices.core_seconds = tuple(factor * default for factor, default in zip(factors, CORE_SECONDS, strict=True))
    return cost


def watch(cost: CostModel, true: CostModel, num_batches: int, noise: float) -> None:
    """Let ``cost`` observe batches of mixed sizes on a machine that is really like ``true``."""
    rng = random.Random(1)  # noqa: S311 (the same batches every time)
    for _ in range(num_batches):
        like = rng.choice(MIXED)
        stop = like.start + int((like.stop - like.start) * rng.uniform(0.2, 1.0))
        batch = segment(like.start, stop, like.count)
        learn(cost, batch, true.batch_seconds([batch]) * rng.gauss(1.0, noise))


def learn(cost: CostModel, batch: Segment, core_seconds: float, speed: float = 1.0) -> None:
    """Observe a batch that got ``speed`` core-seconds a second."""
    cost.observe([batch], core_seconds / speed, core_seconds)


def assert_agree(cost: CostModel, true: CostModel) -> None:
    """Within 20 %, whatever kind of work prevails."""
    for batch in MIXED:
        assert cost.batch_seconds([batch]) == pytest.approx(true.batch_seconds([batch]), rel=0.2)


def test_the_additions_of_two_pieces_are_those_of_the_whole() -> None:
    pieces = [TASK.work(0, 400), TASK.work(400, 1_000)]
    doublings, terms, words = map(sum, zip(*pieces, strict=True))
    whole = TASK.work(0, 1_000)
    assert (terms, words) == pytest.approx(whole[1:])
    assert doublings > whole[0]


def test_a_cut_costs_another_seed_and_check() -> None:
    cost = CostModel()
    pieces = cost.seconds(TASK, 0, 700_000) + cost.seconds(TASK, 700_000, 1_000_000)
    assert pieces - cost.seconds(TASK, 0, 1_000_000) == pytest.approx(cost.seconds(TASK, 700_000, 700_000))


def test_many_lines_cost_many_times_one() -> None:
    cost = CostModel()
    assert cost.seconds(TASK, 5, 1_000, count=300) == pytest.approx(300 * cost.seconds(TASK, 5, 1_000))


def test_a_batch_costs_the_sum_of_its_segments() -> None:
    segments = [segment(0, 100, 3), segment(50, 1_000), segment(0, 0, 2)]
    each = [[s.count * kind for kind in s.task.work(s.start, s.stop)] for s in segments]
    assert work_of(segments) == tuple(map(sum, zip(*each, strict=True)))
    cost = CostModel()
    assert cost.batch_seconds(segments) == pytest.approx(sum(cost.batch_seconds([s]) for s in segments))


def test_an_empty_line_costs_something() -> None:
    assert CostModel().batch_seconds([EMPTY]) > 0


@given(st.integers(0, 50_000_000), st.integers(0, 1_000_000))
def test_words_are_counted_as_the_additions_touch_them(start: int, length: int) -> None:
    """F(n) has 0.694 n bits; the sum over the segment, by its mean."""
    mean_index = start + length / 2
    assert TASK.work(start, start + length)[2] == pytest.approx(length * 0.6942419 / 64 * mean_index, rel=1e-6)


@given(st.integers(0, 50_000_000), st.floats(0.000_1, 10_000.0))
def test_stop_for_is_the_inverse_of_seconds(start: int, seconds: float) -> None:
    """To a unit."""
    cost, endless = CostModel(), FibonacciTask(sys.maxsize)
    stop = cost.stop_for(endless, start, seconds)
    assert stop > start
    assert stop == start + 1 or cost.seconds(endless, start, stop) <= seconds
    assert cost.seconds(endless, start, stop + 1) > seconds


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.floats(0.0, 1.0))
def test_a_piece_does_not_go_beyond_its_line(start: int, rest: int, seconds: float) -> None:
    task = FibonacciTask(start + rest)
    assert start < CostModel().stop_for(task, start, seconds) <= max(task.length, start + 1)


@given(st.integers(0, 100_000_000), st.floats(-1.0, 1e-9))
def test_a_piece_has_at_least_one_unit(start: int, seconds: float) -> None:
    assert CostModel().stop_for(FibonacciTask(sys.maxsize), start, seconds) == start + 1


@pytest.mark.parametrize("num_pieces", [2, 4, 10])
def test_cuts_of_a_long_sequence_approach_the_square_root_law(num_pieces: int) -> None:
    cost, size, stop = CostModel(), 50_000_000, 0
    task = FibonacciTask(size)
    piece_seconds = cost.seconds(task, 0, size) / num_pieces
    for j in range(1, num_pieces):
        stop = cost.stop_for(task, stop, piece_seconds)
        assert stop == pytest.approx(size * math.sqrt(j / num_pieces), rel=0.02)


@pytest.mark.parametrize("factors", WRONG)
def test_constants_that_start_wrong_are_right_after_fifty_batches(factors: tuple[float, float, float]) -> None:
    cost, true = priced(factors), CostModel()
    watch(cost, true, num_batches=50, noise=0.03)
    assert_agree(cost, true)


@pytest.mark.parametrize("factors", WRONG)
def test_an_unlike_machine_is_known_after_fifty_batches(factors: tuple[float, float, float]) -> None:
    cost, true = CostModel(), priced(factors)
    watch(cost, true, num_batches=50, noise=0.03)
    assert_agree(cost, true)


def test_the_first_batch_tells_the_speed_of_the_machine() -> None:
    cost, batch, larger = CostModel(), [segment(0, 100_000)], [segment(0, 300_000)]
    learn(cost, batch[0], 5 * cost.batch_seconds(batch))
    assert cost.batch_seconds(batch) == pytest.approx(5 * CostModel().batch_seconds(batch), rel=0.05)
    assert cost.batch_seconds(larger) == pytest.approx(5 * CostModel().batch_seconds(larger), rel=0.2)


def test_follows_a_machine_that_becomes_slower() -> None:
    cost, slower = CostModel(), priced((2.0, 2.0, 2.0))
    watch(cost, CostModel(), num_batches=50, noise=0.03)
    watch(cost, slower, num_batches=300, noise=0.03)
    assert_agree(cost, slower)


def test_batches_of_microseconds_hardly_count() -> None:
    cost, tiny = CostModel(), segment(0, 10)
    watch(cost, CostModel(), num_batches=50, noise=0.03)
    for _ in range(50):
        learn(cost, tiny, 10 * cost.batch_seconds([tiny]))
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
        cost.observe([segment(start, start + length)], seconds, core_seconds)
        assert all(0 < price < math.inf for price in cost.prices(TASK).core_seconds)
        assert 0 < cost.speed <= 1


def test_a_batch_that_took_no_time_teaches_nothing() -> None:
    cost = CostModel()
    cost.observe([EMPTY], 0.0, 0.0)
    assert (cost.prices(TASK).core_seconds, cost.speed) == (CORE_SECONDS, 1.0)


def test_kernels_have_prices_of_their_own_and_share_the_speed_of_the_pool() -> None:
    @dataclass(frozen=True)
    class Other(FibonacciTask):
        kernel: ClassVar[str] = "other"

    cost, batch, other = CostModel(), [segment(0, 100_000)], [Segment(Other(100_000), 0, 100_000)]
    for _ in range(500):
        learn(cost, batch[0], 4 * CostModel().batch_seconds(batch), speed=0.5)
    assert cost.batch_seconds(batch) == pytest.approx(8 * CostModel().batch_seconds(batch), rel=0.05)
    assert cost.batch_seconds(other) == pytest.approx(2 * CostModel().batch_seconds(other), rel=0.05)


def test_prices_are_learnt_of_any_number_of_kinds() -> None:
    prices = Prices((1.0,))
    for amount in (1.0, 2.0, 5.0) * 10:
        prices.learn((amount,), 3.0 * amount)
    assert prices.core_seconds == pytest.approx((3.0,), rel=0.02)


def test_where_others_use_the_core_too_it_takes_longer_and_costs_the_same() -> None:
    cost, batch = CostModel(), segment(0, 100_000)
    core_seconds = cost.batch_seconds([batch])
    for _ in range(500):
        learn(cost, batch, core_seconds, speed=0.25)
    assert cost.batch_seconds([batch]) == pytest.approx(4 * core_seconds, rel=0.05)
    assert cost.batch_seconds([batch]) * cost.speed == pytest.approx(core_seconds)
    for _ in range(500):
        learn(cost, batch, core_seconds)
    assert cost.batch_seconds([batch]) == pytest.approx(core_seconds, rel=0.05)


def test_the_speed_follows_within_seconds_of_computing_whatever_the_size_of_the_batches() -> None:
    small, large = CostModel(), CostModel()
    for _ in range(200):
        learn(small, EMPTY, 0.010, speed=0.25)
    for _ in range(20):
        learn(large, EMPTY, 0.100, speed=0.25)
    assert small.speed == pytest.approx(large.speed) == pytest.approx(0.25 + 0.75 / math.e)


@pytest.mark.parametrize("core_seconds", [0.2, 8.0])
def test_one_batch_that_stood_still_does_not_tell_of_a_slow_pool(core_seconds: float) -> None:
    cost = CostModel()
    cost.observe([EMPTY], core_seconds + 12.0, core_seconds)
    assert cost.speed > 0.85


def test_what_was_known_of_the_speed_is_forgotten_while_nothing_is_computed() -> None:
    cost, batch = CostModel(), segment(0, 100_000)
    core_seconds = cost.batch_seconds([batch])
    for _ in range(500):
        learn(cost, batch, core_seconds, speed=0.25)
    cost.was_idle(IDLE_SECONDS)
    assert cost.speed == pytest.approx(1 - 0.75 / math.e, rel=0.02)
    cost.was_idle(10 * IDLE_SECONDS)
    assert cost.batch_seconds([batch]) == pytest.approx(core_seconds, rel=0.01)


def test_more_cpu_time_than_time_is_full_speed() -> None:
    cost = CostModel()
    cost.observe([EMPTY], 1.0, 1.001)
    assert cost.speed == 1.0

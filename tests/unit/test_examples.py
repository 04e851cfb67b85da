"""The kernels in examples/: what they find is right, whatever the cuts, and a wrong result is noticed."""

import base64
import zlib
from collections.abc import Sequence
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compute.slices import compute
from app.job import Segment, SegmentResult
from app.kernel import Task, load
from app.queue.parts import Parts
from examples.mandelbrot.models import png
from examples.mandelbrot.task import MandelbrotTask, iterations_of_one
from examples.primes.sieves import base_primes, eratosthenes, sundaram
from examples.primes.task import PrimesTask

PICTURE = MandelbrotTask(20, 30, -0.5, 0.0, 3.0)


def is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def results_of(*segments: Segment) -> tuple[SegmentResult, ...]:
    slices = compute(segments)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            results: tuple[SegmentResult, ...] = end.value
            return results


def found_in(task: Task, cuts: Sequence[int]) -> object:
    """What is found in a line that is cut there."""
    parts = Parts(task)
    for start, stop in pairwise(cuts):
        (result,) = results_of(Segment(task, start, stop))
        assert (result.verified, result.num_units) == (True, stop - start)
        assert result.part is not None
        parts.add(start, stop, result.part)
    assert parts.whole is not None
    return parts.whole.found


@given(st.integers(0, 3_000), st.integers(0, 500))
def test_both_sieves_count_every_prime(low: int, length: int) -> None:
    expected = sum(map(is_prime, range(low, low + length)))
    assert eratosthenes(low, low + length, base_primes(low + length)) == expected
    assert sundaram(low, low + length) == expected


@pytest.mark.parametrize(("power", "known"), [(3, 168), (5, 9_592), (6, 78_498)])
def test_as_many_primes_as_are_known(power: int, known: int) -> None:
    assert found_in(PrimesTask(0, 10**power), [0, 10**power]) == known


@given(st.integers(0, 2_000_000_000), st.sets(st.integers(1, 9_999), max_size=4))
def test_cuts_change_nothing(first: int, cuts: set[int]) -> None:
    task = PrimesTask(first, 10_000)
    assert found_in(task, [0, *sorted(cuts), 10_000]) == found_in(task, [0, 10_000])


def test_a_prime_too_many_is_noticed() -> None:
    with mock.patch("examples.primes.task.eratosthenes", return_value=3):
        (result,) = results_of(Segment(PrimesTask(0, 100), 0, 100))
    assert not result.verified


def test_a_picture_is_the_same_however_it_is_cut() -> None:
    whole = found_in(PICTURE, [0, 20])
    assert found_in(PICTURE, [0, 7, 8, 20]) == whole
    assert isinstance(whole, str)
    pixels = base64.b64decode(whole)
    for row in (0, 10, 19):
        real, imaginary = PICTURE._pixels(row)
        assert list(pixels[30 * row : 30 * row + 30]) == [iterations_of_one(x, imaginary) for x in real.tolist()]
    assert 0 < pixels.count(255) < len(pixels)


def test_a_wrong_pixel_is_noticed() -> None:
    with mock.patch("examples.mandelbrot.task.iterations_of_one", return_value=-1):
        (result,) = results_of(Segment(PICTURE, 0, 20))
    assert not result.verified


def test_the_answer_is_a_picture() -> None:
    picture = png(bytes(range(6)), 3)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture[16:24] == bytes([0, 0, 0, 3, 0, 0, 0, 2])
    length = int.from_bytes(picture[33:37], "big")
    assert zlib.decompress(picture[41 : 41 + length]) == bytes([0, 255, 254, 253, 0, 252, 251, 250])


@pytest.mark.parametrize("path", ["examples.primes:KERNEL", "examples.mandelbrot:KERNEL"])
def test_a_part_costs_more_the_longer_it_is(path: str) -> None:
    offer = load(path, {})
    task = offer.kernel.task(offer.limits, offer.kernel.request(offer.limits)(), 2)
    amounts = [task.work(10, stop) for stop in (10, 20, 30)]
    assert all(len(amount) == len(task.core_seconds) for amount in amounts)
    for less, more in pairwise(amounts):
        assert all(a <= b for a, b in zip(less, more, strict=True))
        assert less != more

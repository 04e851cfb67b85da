"""The kernel against plain Python, against another algorithm, and against its own check."""

import hashlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gmpy2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernels.fibonacci.terms import BITS_PER_INDEX, LastTerm, TermGenerator, count_digits

ROOT = Path(__file__).parents[2]
FIRST_TERMS = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765]


@pytest.fixture
def all_digits() -> Iterator[None]:
    """Lets ``str`` convert numbers of any length."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(limit)


def plain_terms() -> Iterator[int]:
    """The sequence as the textbook has it."""
    lower, upper = 0, 1
    while True:
        yield lower
        lower, upper = upper, lower + upper


def generated(start: int, stop: int) -> TermGenerator:
    """A generator that has done all its terms."""
    terms = TermGenerator(start, stop)
    return finished(terms)


def finished(terms: TermGenerator) -> TermGenerator:
    while not terms.done:
        terms.advance()
    return terms


def last(terms: TermGenerator) -> int:
    """The term before ``position``."""
    return int(terms._lower)


def tampered(terms: TermGenerator, bit: int) -> TermGenerator:
    """The generator with one bit flipped in the upper number of its pair."""
    terms._upper = gmpy2.xmpz(int(terms._upper) ^ (1 << bit))
    return terms


@pytest.mark.parametrize(("index", "term"), list(enumerate(FIRST_TERMS)))
def test_the_first_terms_are_the_known_ones(index: int, term: int) -> None:
    assert last(generated(0, index + 1)) == term


def test_large_terms_are_the_known_ones() -> None:
    assert last(generated(0, 101)) == 354_224_848_179_261_915_075
    assert last(generated(0, 1001)) % 10**20 == 76_137_795_166_849_228_875


def test_every_segment_agrees_with_plain_additions() -> None:
    terms = list(itertools.islice(plain_terms(), 41))
    for start, stop in itertools.combinations(range(41), 2):
        segment = generated(start, stop)
        assert (last(segment), int(segment._upper)) == (terms[stop - 1], terms[stop])


@pytest.mark.parametrize("size", [1_000, 1_001])
def test_a_long_run_agrees_with_plain_additions(size: int) -> None:
    assert last(generated(0, size)) == next(itertools.islice(plain_terms(), size - 1, None))


@given(st.integers(0, 30_000), st.integers(1, 3_000))
def test_generated_terms_equal_fast_doubling(start: int, length: int) -> None:
    segment = generated(start, start + length)
    assert last(segment) == gmpy2.fib(start + length - 1)
    assert segment.verify()


@given(st.integers(1, 5_000), st.integers(1, 5_000))
def test_generated_terms_obey_the_addition_law(m: int, n: int) -> None:
    """F(m + n) = F(m - 1) F(n) + F(m) F(n + 1)."""
    at_m, at_n = generated(0, m), generated(0, n)
    f_before_m, f_m = last(at_m), int(at_m._upper)
    f_n, f_after_n = int(at_n._upper), last(generated(0, n + 2))
    assert last(generated(0, m + n + 1)) == f_before_m * f_n + f_m * f_after_n


@given(st.integers(0, 20_000), st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_slices_change_nothing(start: int, lengths: list[int]) -> None:
    terms = TermGenerator(start, start + sum(lengths))
    for length in lengths:
        terms._generate(length)
    assert terms.done
    assert last(terms) == last(generated(start, terms.stop))


@pytest.mark.parametrize("start", [0, 1, 2, 1_000_000])
def test_an_empty_segment_is_done_and_right_at_once(start: int) -> None:
    terms = generated(start, start)
    assert terms.verify()
    assert terms.last_term() is None


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 2), (-2, -1)])
def test_what_is_not_a_segment_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="not a segment"):
        TermGenerator(start, stop)


def test_it_advances_in_steps_until_it_is_done() -> None:
    terms = TermGenerator(0, 100_000)
    steps = []
    while not terms.done:
        steps.append(terms.advance())
    assert len(steps) > 10
    assert sum(steps) == 100_000
    assert terms.verify()


@pytest.mark.parametrize("index", [0, 100_000, 1_000_000, 10_000_000, 50_000_000])
def test_steps_are_short_enough_for_slices(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 microseconds to 10 ms of additions, at 0.35 ns a word and 80 ns a term."""
    monkeypatch.setattr(TermGenerator, "_generate", lambda *_: None)
    seconds_per_term = 8e-8 + 3.5e-10 * index * BITS_PER_INDEX / 64
    assert 0.000_010 < TermGenerator(index, index + 10_000).advance() * seconds_per_term < 0.010


def test_terms_far_out_are_right() -> None:
    assert generated(3_000_000, 3_000_100).verify()


@pytest.mark.parametrize("bit", [0, 1, 63, 64, 500])
def test_a_flipped_bit_is_caught(bit: int) -> None:
    assert not tampered(generated(0, 1_000), bit).verify()


def test_a_bit_flipped_midway_is_caught_at_the_end() -> None:
    terms = TermGenerator(500, 2_000)
    terms._generate(700)
    finished(tampered(terms, 17))
    assert not terms.verify()


def test_a_wrong_lower_number_is_caught() -> None:
    terms = generated(0, 1_000)
    terms._lower += 1
    assert not terms.verify()


@given(st.integers(0, 20_000), st.integers(0, 3_000))
def test_where_one_ends_by_additions_the_next_begins_by_doubling(start: int, length: int) -> None:
    assert generated(start, start + length).digest() == TermGenerator(start + length, start + length + 1).digest()


@pytest.mark.parametrize("bit", [0, 1, 63, 64, 500])
def test_a_flipped_bit_changes_the_digest(bit: int) -> None:
    assert tampered(generated(0, 1_000), bit).digest() != generated(0, 1_000).digest()


def test_a_digest_tells_the_numbers_apart() -> None:
    """Their bytes, one after the other, are the same: 0x01 and 0x0203, 0x0102 and 0x03 (little-endian)."""
    one, other = TermGenerator(0, 0), TermGenerator(0, 0)
    one._lower, one._upper = gmpy2.xmpz(0x01), gmpy2.xmpz(0x0302)
    other._lower, other._upper = gmpy2.xmpz(0x0201), gmpy2.xmpz(0x03)
    assert one.digest() != other.digest()


def test_generated_terms_are_not_what_is_checked_against() -> None:
    terms = TermGenerator(0, 100)
    terms.position = 100  # claims terms that nobody generated
    assert not terms.verify()


def test_the_last_term_is_described_exactly(all_digits: None) -> None:
    for size, term in enumerate(itertools.islice(plain_terms(), 3_000), start=1):
        described = generated(0, size).last_term()
        assert described is not None
        assert (described.index, described.num_digits) == (size - 1, len(str(term)))
        assert described.bit_length == term.bit_length()


def test_the_last_term_does_not_depend_on_where_the_segment_began() -> None:
    assert generated(7_000, 10_000).last_term() == generated(0, 10_000).last_term()


def test_the_hash_of_zero_is_over_one_zero_byte() -> None:
    described = generated(0, 1).last_term()
    assert described == LastTerm(0, 1, 0, hashlib.sha256(b"\x00").hexdigest())


@pytest.mark.parametrize(("index", "bit_length", "in_bytes"), [(13, 8, b"\xe9"), (14, 9, b"\x01\x79")])
def test_the_hash_is_over_the_fewest_big_endian_bytes(index: int, bit_length: int, in_bytes: bytes) -> None:
    described = generated(0, index + 1).last_term()
    assert described == LastTerm(index, 3, bit_length, hashlib.sha256(in_bytes).hexdigest())


@pytest.mark.parametrize("exponent", [*range(1, 40), 308, 1_000, 20_000])
def test_digits_are_exact_around_powers_of_ten(exponent: int, all_digits: None) -> None:
    power = 10**exponent
    for number in (power - 1, power, power + 1):
        assert count_digits(gmpy2.mpz(number)) == len(str(number))


@given(st.integers(0, 2**4096))
def test_digits_are_exact(number: int) -> None:
    assert count_digits(gmpy2.mpz(number)) == len(str(number))


MEASURE_MEMORY = """
from app.kernels.fibonacci.terms import TermGenerator
from benchmarks.memory import growth, watch

def generate(size):
    terms = TermGenerator(0, size)
    while not terms.done:
        terms.advance()
    assert terms.verify()

generate(10_000)
before = watch()
generate(1_000_000)
print(growth(before))
"""


def test_a_million_terms_need_less_than_two_megabytes() -> None:
    """The list of them would be 43 GB."""
    done = subprocess.run([sys.executable, "-c", MEASURE_MEMORY], check=True, capture_output=True, text=True, cwd=ROOT)
    assert float(done.stdout) < 2.0

"""Cuts inside a line: what one piece ends with is what the next begins with, or somebody computes again."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ComputationError
from app.job import JobResult, Segment, SegmentResult
from app.kernel import Part
from app.queue.seams import MAX_REFEREES, Held, Seams
from harness.virtual_time import run_virtually
from tests.simulated_pool import SimulatedPool, assert_nothing_is_left, job
from tests.tasks import segment

LENGTH = 100
SECONDS = 20.0


def held(start: int, stop: int, opens: str | None, closes: str | None, worker_id: str = "w") -> Held:
    """Of a line of 100 units."""
    done = SegmentResult(stop - start, 1, verified=True, compute_seconds=0.1, part=Part(None, opens, closes))
    return Held(segment(start, stop, length=LENGTH), 0, done, worker_id)


def test_a_piece_is_right_when_both_its_ends_agree() -> None:
    seams = Seams()
    first, middle, last = held(0, 30, None, "a"), held(30, 60, "a", "b"), held(60, 100, "b", None)
    assert not seams.add(middle).right
    assert seams.add(first).right == [first]
    assert seams.add(last).right == [middle, last]
    assert not seams


def test_a_whole_line_needs_nobody() -> None:
    seams, whole = Seams(), held(0, 100, None, None)
    assert seams.add(whole).right == [whole]
    assert not seams


def test_pieces_without_ends_agree() -> None:
    """A kernel that says nothing of its ends checks each piece itself."""
    seams, first, last = Seams(), held(0, 30, None, None), held(30, 100, None, None)
    assert not seams.add(first).right
    assert seams.add(last).right == [first, last]


def test_lines_are_kept_apart() -> None:
    seams, other = Seams(), held(30, 100, "b", None)
    other.line = 1
    seams.add(held(0, 30, None, "a"))
    verdict = seams.add(other)
    assert not verdict.right
    assert not verdict.disputes


def test_what_is_known_to_be_right_decides_alone() -> None:
    seams, wrong, right = Seams(), held(30, 60, "a", "c"), held(30, 60, "b", "c")
    seams.know(0, 30, "b")
    seams.know(0, 60, "c")
    verdict = seams.add(wrong)
    assert (verdict.wrong, verdict.right, verdict.disputes) == ([wrong], [], [])
    assert seams.add(right).right == [right]
    assert not seams


@pytest.mark.parametrize(("found", "liar"), [("a", 1), ("b", 0)])
def test_a_referee_finds_who_is_wrong(found: str, liar: int) -> None:
    seams, sides = Seams(), [held(0, 30, None, "a", "left"), held(30, 100, "b", None, "right")]
    assert not seams.add(sides[1]).disputes
    (dispute,) = seams.add(sides[0]).disputes
    assert (dispute.line, dispute.place, dispute.distrusted) == (0, 30, ("right", "left"))
    verdict = seams.judge(0, 30, "referee", found)
    assert (verdict.right, verdict.wrong, verdict.disputes) == ([sides[1 - liar]], [sides[liar]], [])


def test_what_two_have_found_stands() -> None:
    seams = Seams()
    seams.add(held(0, 30, None, "a"))
    seams.add(held(30, 100, "b", None))
    seams.judge(0, 30, "referee", "b")
    again = held(0, 30, None, "c")
    assert seams.add(again).wrong == [again]
    right = held(0, 30, None, "b")
    assert seams.add(right).right == [right]
    assert not seams


def test_a_referee_that_agrees_with_nobody_is_followed_by_another() -> None:
    seams, left, right = Seams(), held(0, 30, None, "a", "left"), held(30, 100, "b", None, "right")
    seams.add(left)
    seams.add(right)
    (dispute,) = seams.judge(0, 30, "r1", "c").disputes
    assert dispute.distrusted == ("r1", "right", "left")
    verdict = seams.judge(0, 30, "r2", "c")
    assert set(verdict.wrong) == {left, right}


def test_where_nobody_agrees_the_job_fails() -> None:
    seams = Seams()
    seams.add(held(0, 30, None, "a", "left"))
    seams.add(held(30, 100, "b", None, "right"))
    for number in range(MAX_REFEREES - 1):
        seams.judge(0, 30, f"r{number}", f"other {number}")
    with pytest.raises(ComputationError, match="no two workers agree about what is at 30"):
        seams.judge(0, 30, "r", "yet another")


def test_a_worker_that_contradicts_itself_is_not_believed() -> None:
    """Both sides are its own: then the third worker is right, whatever it says."""
    seams, sides = Seams(), [held(0, 30, None, "a", "w1"), held(30, 100, "b", None, "w1")]
    seams.add(sides[0])
    (dispute,) = seams.add(sides[1]).disputes
    assert dispute.distrusted == ("w1",)
    assert seams.judge(0, 30, "w0", "c").wrong == sides


def test_a_side_that_says_something_else_as_referee_is_not_believed() -> None:
    seams, left, right = Seams(), held(0, 30, None, "a", "w1"), held(30, 100, "b", None, "w0")
    seams.add(left)
    seams.add(right)
    verdict = seams.judge(0, 30, "w1", "c")
    assert (verdict.right, verdict.wrong) == ([right], [left])


def test_a_lone_worker_that_was_wrong_once_is_believed_when_it_says_the_same_again() -> None:
    seams, left, right = Seams(), held(0, 30, None, "a"), held(30, 100, "b", None)
    seams.add(left)
    seams.add(right)
    assert seams.judge(0, 30, "w", "b").wrong == [left]


def test_who_agreed_with_one_that_is_wrong_has_to_agree_with_another() -> None:
    seams, middle, next_one = Seams(), held(30, 60, "x", "b"), held(60, 80, "b", "c")
    for piece in (middle, next_one, held(0, 30, None, "a")):
        assert not seams.add(piece).right
    assert seams.judge(0, 30, "referee", "a").wrong == [middle]
    last = held(80, 100, "c", None)
    assert seams.add(last).right == [last]
    again = held(30, 60, "a", "b")
    assert set(seams.add(again).right) == {again, next_one}
    assert not seams


def test_who_is_wrong_at_one_end_is_awaited_anew_at_the_other() -> None:
    seams, first, middle, last = Seams(), held(0, 30, None, "a"), held(30, 60, "x", "y"), held(60, 100, "b", None)
    seams.add(middle)
    seams.add(first)
    assert seams.judge(0, 30, "referee", "a").wrong == [middle]
    assert not seams.add(last).disputes
    again = held(30, 60, "a", "b")
    assert set(seams.add(again).right) == {again, last}
    assert not seams


def test_a_referee_that_comes_too_late_changes_nothing() -> None:
    """Both ends of the middle were disputed; computed again, it agrees before the second referee is back."""
    seams, middle = Seams(), held(30, 60, "x", "y")
    for piece in (held(0, 30, None, "a"), middle, held(60, 100, "b", None)):
        seams.add(piece)
    assert seams.judge(0, 30, "referee", "a").wrong == [middle]
    seams.add(held(30, 60, "a", "b"))
    verdict = seams.judge(0, 60, "referee", "z")
    assert (verdict.right, verdict.wrong, verdict.disputes) == ([], [], [])


# On a pool

Lie = Callable[[str, Segment, Part], Part]


def in_sums(liar: str) -> Lie:
    """Its seeds are right, and what it adds up is not."""

    def found(worker_id: str, segment: Segment, part: Part) -> Part:
        lies = worker_id == liar and segment.start < segment.stop and part.closes is not None
        return replace(part, closes="a wrong sum") if lies else part

    return found


def in_seeds(liar: str) -> Lie:
    """Wherever it begins, and so where it ends, too."""

    def found(worker_id: str, segment: Segment, part: Part) -> Part:
        if worker_id != liar or part.opens is None:
            return part
        return replace(part, opens=f"not {part.opens}", closes=part.closes and f"from {segment.start}: {part.closes}")

    return found


def in_digests(liar: str) -> Lie:
    """The same lie each time, wherever it is asked."""

    def found(worker_id: str, _: Segment, part: Part) -> Part:
        if worker_id != liar:
            return part
        return replace(part, opens=part.opens and f"not {part.opens}", closes=part.closes and f"not {part.closes}")

    return found


def at_random(liar: str) -> Lie:
    """Another lie each time."""
    numbers = itertools.count()

    def found(worker_id: str, _: Segment, part: Part) -> Part:
        if worker_id != liar:
            return part
        number = next(numbers)
        return replace(part, opens=part.opens and f"{number}", closes=part.closes and f"{number}, too")

    return found


def run_with(
    lie: Lie, num_workers: int, *, fails_at_the_end: str = "", seconds: float = SECONDS
) -> tuple[SimulatedPool, JobResult]:
    """One long line; the worker ``fails_at_the_end`` does not pass the kernel's own check there."""

    async def main() -> tuple[SimulatedPool, JobResult]:
        pool = SimulatedPool(num_workers)
        pool.finds = lie
        pool.is_wrong = lambda worker_id, s: worker_id == fails_at_the_end and s.stop == s.task.length
        (result,) = await pool.dispatcher.run(job(seconds))
        assert_nothing_is_left(pool)
        return pool, result

    return run_virtually(main())


@pytest.mark.parametrize("num_workers", [3, 5, 20])
@pytest.mark.parametrize("lies", [in_sums, in_seeds, in_digests, at_random])
def test_a_liar_is_found_and_nobody_else(lies: Callable[[str], Lie], num_workers: int) -> None:
    pool, result = run_with(lies("w1"), num_workers, fails_at_the_end="w1")
    assert result.counts == [result.job.task.length]
    assert sum(record.num_units for record in result.batches) == result.job.task.length
    computed = Counter((s.start, s.stop) for call in pool.calls for s in call.batch.segments if s.start < s.stop)
    again = {piece for piece, times in computed.items() if times > 1}
    liars = {
        (s.start, s.stop)
        for call in pool.calls if call.worker_id == "w1"
        for s in call.batch.segments if s.start < s.stop
    }  # fmt: skip
    assert len(again) == result.num_recomputed > 0
    assert again <= liars


@pytest.mark.parametrize("lies", [in_sums, in_seeds, in_digests, at_random])
def test_beside_one_honest_worker_the_result_is_right(lies: Callable[[str], Lie]) -> None:
    """With two workers both neighbours are often on the liar, and it may be the referee."""
    _, result = run_with(lies("w1"), 2, fails_at_the_end="w1")
    assert result.counts == [result.job.task.length]
    assert result.num_recomputed > 0


def test_nothing_is_asked_where_all_agree() -> None:
    pool, result = run_with(lambda _, __, part: part, 5)
    segments = [s for call in pool.calls for s in call.batch.segments]
    assert all(s.start < s.stop for s in segments)
    assert (result.num_segments, result.num_recomputed) == (len(segments), 0)


@settings(max_examples=40)
@given(data=st.data(), num_workers=st.integers(3, 6))
def test_whatever_single_lies_there_are_every_unit_counts_once(data: st.DataObject, num_workers: int) -> None:
    lies = data.draw(st.sets(st.integers(0, 60), max_size=4))
    """Somebody lies about any piece once, or as a referee."""
    numbers, lied_about = itertools.count(), set()

    def lie(_: str, segment: Segment, part: Part) -> Part:
        number = next(numbers)
        if number not in lies or (segment.start, segment.stop) in lied_about:
            return part
        lied_about.add((segment.start, segment.stop))
        return replace(part, opens=part.opens and f"lie {number}", closes=part.closes and f"lie {number}")

    _, result = run_with(lie, num_workers, seconds=2.0)
    assert result.counts == [result.job.task.length]
    assert sum(record.num_units for record in result.batches) == result.job.task.length

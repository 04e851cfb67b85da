"""Progress: whatever has come back, in whatever order, what is missing is exactly the rest."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.durable.checkpoint import DamagedError, UnknownVersionError, checkpoint_text, progress_of
from app.job import Job, Segment
from app.kernel import Part
from app.kernels.fibonacci.task import FibonacciTask
from app.queue.cost import CostModel
from app.queue.progress import Begun, Coverage, Progress
from app.queue.remainder import Remainder
from tests.tasks import job_of

Unit = tuple[int, int]


def units(pieces: list[tuple[int, Segment]]) -> list[Unit]:
    return [(line + i, unit) for line, s in pieces for i in range(s.count) for unit in range(s.start, s.stop)]


def cut_up(job: Job, seconds: float, progress: Progress | None = None) -> list[tuple[int, Segment]]:
    """All pieces, each segment with its first line."""
    remainder = Remainder(job, CostModel(), progress)
    pieces = []
    while not remainder.exhausted:
        line = remainder.line
        for segment in remainder.cut(seconds):
            pieces.append((line, segment))
            line += segment.count if segment.stop == job.task.length else 0
    return pieces


def progress_with(job: Job, pieces: list[tuple[int, Segment]]) -> Progress:
    coverage = Coverage(job.task)
    for line, segment in pieces:
        last = segment.stop == job.task.length
        coverage.add(segment, line, Part("last" if last else None, f"{segment.start}", f"{segment.stop}"))
    return Progress(whole=coverage.whole, begun=coverage.begun, part=coverage.part)


@given(
    length=st.integers(1, 40),
    num_lines=st.integers(1, 6),
    milliseconds=st.floats(0.001, 0.02),
    again_milliseconds=st.floats(0.001, 0.02),
    order=st.randoms(use_true_random=False),
    share=st.floats(0, 1),
)
def test_what_is_missing_is_the_rest(  # noqa: PLR0917 (hypothesis names them)
    length: int, num_lines: int, milliseconds: float, again_milliseconds: float, order: random.Random, share: float
) -> None:
    job = job_of(length, num_lines)
    pieces = cut_up(job, milliseconds / 1000)
    order.shuffle(pieces)
    done = pieces[: round(share * len(pieces))]
    progress = progress_of(checkpoint_text(progress_with(job, done)))
    rest = cut_up(job, again_milliseconds / 1000, progress)
    assert sorted(units(done) + units(rest)) == [(line, unit) for line in range(num_lines) for unit in range(length)]
    assert progress.num_units(job.task) == len(units(done))
    everything = progress_with(job, done + rest)
    assert everything == Progress(whole=((0, num_lines),), part=everything.part)
    assert everything.part is not None
    assert everything.part.found == "last"


def test_whole_lines_are_runs() -> None:
    coverage = Coverage(FibonacciTask(10, 9))
    for line in (0, 4, 8, 3, 7):
        coverage.add(Segment(coverage.task, 0, 10), line, Part())
    assert coverage.whole == ((0, 1), (3, 5), (7, 9))
    assert not coverage.complete


def test_empty_lines_count() -> None:
    job = job_of(0, 3)
    progress = progress_with(job, [(0, Segment(job.task, 0, 0, 2))])
    assert cut_up(job, 1.0, progress) == [(2, Segment(job.task, 0, 0, 1))]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v":1,"crc":0}'])
def test_what_is_no_checkpoint_is_damaged(text: str) -> None:
    with pytest.raises(DamagedError):
        progress_of(text)


def test_every_changed_character_is_noticed() -> None:
    text = checkpoint_text(Progress(whole=((0, 2),), begun=(Begun(2, 0, 17, Part(None, None, "abc")),)))
    for i, character in enumerate(text):
        changed = text[:i] + ("1" if character != "1" else "2") + text[i + 1 :]
        with pytest.raises(DamagedError):
            progress_of(changed)


def test_a_later_version_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.durable.checkpoint.VERSION", 2)
    text = checkpoint_text(Progress())
    monkeypatch.undo()
    with pytest.raises(UnknownVersionError):
        progress_of(text)

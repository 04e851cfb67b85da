"""How far a job is: which units of which lines are done and right, and what was found there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from app.job import Segment
from app.kernel import Part, Task
from app.queue.parts import Parts


class Stretch(NamedTuple):
    """Units ``start`` .. ``stop - 1`` of ``num_lines`` consecutive lines, which are whole if they are several."""

    line: int
    start: int
    stop: int
    num_lines: int = 1


class Begun(NamedTuple):
    """Units ``start`` .. ``stop - 1`` of a line of which others are missing."""

    line: int
    start: int
    stop: int
    part: Part


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job needs to go on from, in another process too: plain data."""

    whole: tuple[tuple[int, int], ...] = ()
    """Lines that are done, as runs: the first, and the one after the last."""
    begun: tuple[Begun, ...] = ()
    part: Part | None = None
    """What was found in a whole line: they are equal."""
    num_segments: int = 0
    num_recomputed: int = 0
    num_batches: int = 0
    num_workers: int = 0
    compute_seconds: float = 0.0

    def num_units(self, task: Task) -> int:
        """Units that are done."""
        lines = sum(stop - start for start, stop in self.whole)
        return lines * task.length + sum(each.stop - each.start for each in self.begun)

    def missing(self, task: Task) -> list[Stretch]:
        """What is not done, in the order of the lines."""
        return [*self._inside_lines(task), *self._whole_lines(task)] or [Stretch(task.num_lines, 0, task.length, 0)]

    def _inside_lines(self, task: Task) -> Iterator[Stretch]:
        """Of lines that were begun: they come first, since what is around them is kept until they are done."""
        line, position = -1, 0
        for each in sorted(self.begun, key=lambda begun: begun[:2]):
            if each.line != line:
                if line >= 0 and position < task.length:
                    yield Stretch(line, position, task.length)
                line, position = each.line, 0
            if position < each.start:
                yield Stretch(line, position, each.start)
            position = each.stop
        if line >= 0 and position < task.length:
            yield Stretch(line, position, task.length)

    def _whole_lines(self, task: Task) -> Iterator[Stretch]:
        line = 0
        begun = {each.line for each in self.begun}
        for start, stop in sorted([*self.whole, *((number, number + 1) for number in begun)]):
            if line < start:
                yield Stretch(line, 0, task.length, start - line)
            line = stop
        if line < task.num_lines:
            yield Stretch(line, 0, task.length, task.num_lines - line)


@dataclass(slots=True)
class Coverage:
    """Notes what is done, segment by segment; only what is around missing units is kept apart."""

    task: Task
    part: Part | None = None
    """What was found in the first line that was whole."""
    num_whole: int = 0
    _lines: dict[int, Parts] = field(default_factory=dict)
    """Those that were begun."""
    _first_of: dict[int, int] = field(default_factory=dict)
    """The first line of a run of whole ones, by the one after its last."""
    _after: dict[int, int] = field(default_factory=dict)
    """The line after the last of a run of whole ones, by its first."""

    @classmethod
    def of(cls, task: Task, progress: Progress) -> "Coverage":
        """What was done before."""
        coverage = cls(task, progress.part)
        for start, stop in progress.whole:
            coverage._add_lines(start, stop - start)
        for line, start, stop, part in progress.begun:
            coverage._lines.setdefault(line, Parts(task)).add(start, stop, part)
        return coverage

    @property
    def complete(self) -> bool:
        """Whether everything is done."""
        return self.num_whole == self.task.num_lines

    def add(self, segment: Segment, line: int, part: Part) -> None:
        """A segment, the first of whose lines is ``line``, is done; each unit comes once.

        Raises ``ComputationError`` if the kernel cannot join what was found with its neighbours.
        """
        if segment.start == 0 and segment.stop == self.task.length:
            self.part = self.part or part
            self._add_lines(line, segment.count)
            return
        parts = self._lines.setdefault(line, Parts(self.task))
        parts.add(segment.start, segment.stop, part)
        if (whole := parts.whole) is not None:
            del self._lines[line]
            self.part = self.part or whole
            self._add_lines(line, 1)

    @property
    def whole(self) -> tuple[tuple[int, int], ...]:
        """As in ``Progress``."""
        return tuple(sorted(self._after.items()))

    @property
    def begun(self) -> tuple[Begun, ...]:
        """As in ``Progress``."""
        return tuple(
            Begun(line, start, stop, part)
            for line, parts in sorted(self._lines.items())
            for start, stop, part in parts.stretches
        )

    def _add_lines(self, line: int, count: int) -> None:
        self.num_whole += count
        first, after = line, line + count
        if (before := self._first_of.pop(first, None)) is not None:
            first = before
        if (behind := self._after.pop(after, None)) is not None:
            del self._first_of[behind]
            after = behind
        self._first_of[after], self._after[first] = first, after

"""Seams: the cuts inside lines. What stands at the end of one piece must be what stands at the beginning of the next.

Each side says what it found there (``Part.closes`` and ``Part.opens``), usually a digest. If they differ, a third
worker is asked for what stands there: whoever differs from what two have found is computed again. This is for workers
that may be faulty; against malicious ones it does not help.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from app.errors import ComputationError
from app.job import Segment, SegmentResult
from app.kernel import Part

MAX_REFEREES = 3
"""If each of them finds something else, and both sides too, nothing can be known."""


class Held:
    """A segment that was computed, until both its ends agree with what its neighbours found."""

    __slots__ = ("done", "line", "num_open", "segment", "worker_id")

    def __init__(self, segment: Segment, line: int, done: SegmentResult, worker_id: str) -> None:
        self.segment = segment
        self.line = line
        self.done = done
        self.worker_id = worker_id
        self.num_open = len(self.ends)
        """Ends that do not agree with a neighbour's yet."""

    @property
    def ends(self) -> dict[int, str | None]:
        """What was found at each end inside the line, by its place."""
        part = self.done.part or Part()
        ends = {self.segment.start: part.opens} if self.segment.start > 0 else {}
        return ends | ({self.segment.stop: part.closes} if self.segment.stop < self.segment.task.length else {})


@dataclass(frozen=True, slots=True)
class Dispute:
    """A seam at which no two workers agree."""

    line: int
    place: int
    distrusted: tuple[str, ...]
    """The workers that spoke, the least trusted first. Beginning at a place and judging it are the same computation, so
    who began there comes before who ended there."""


class Opinion(NamedTuple):
    """What a worker says is at a seam."""

    worker_id: str
    found: str | None


@dataclass(slots=True)
class Verdict:
    """What follows from what a worker found."""

    right: list[Held] = field(default_factory=list)
    wrong: list[Held] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)


@dataclass(slots=True)
class _Seam:
    sides: list[Held] = field(default_factory=list)
    """Those that have come back and are not wrong."""
    agreed: list[Held] = field(default_factory=list)
    """Of these, those that agree with what is believed to be there."""
    right: list[Held] = field(default_factory=list)
    """Of these, those that agree at their other end, too, and have been counted. With both nothing more can come."""
    referees: list[Opinion] = field(default_factory=list)
    is_asking: bool = False
    known: Opinion | None = None
    """What is there beyond doubt: then only one side is still to come."""


class Seams:
    """All seams of a job."""

    def __init__(self) -> None:
        self._seams: dict[tuple[int, int], _Seam] = {}

    def __len__(self) -> int:
        """Seams that are kept."""
        return len(self._seams)

    def know(self, line: int, place: int, found: str | None) -> None:
        """What is on one side of this seam is right, since earlier, and ``found`` stands there."""
        self._seams[line, place] = _Seam(known=Opinion("", found))

    def add(self, held: Held) -> Verdict:
        """A segment was computed."""
        verdict = Verdict()
        for place in held.ends:
            self._seams.setdefault((held.line, place), _Seam()).sides.append(held)
        for place in held.ends:
            self._settle(held.line, place, verdict)
        if not held.ends:
            verdict.right.append(held)
        return verdict

    def judge(self, line: int, place: int, worker_id: str, found: str | None) -> Verdict:
        """A referee has found this. Raises ``ComputationError`` if it is the last one, and nobody agrees with it."""
        verdict = Verdict()
        if (seam := self._seams.get((line, place))) is not None:  # else they have agreed meanwhile
            seam.is_asking = False
            seam.referees.append(Opinion(worker_id, found))
            self._settle(line, place, verdict)
        return verdict

    def _settle(self, line: int, place: int, verdict: Verdict) -> None:
        seam = self._seams[line, place]
        believed = seam.known or _believed(
            [Opinion(held.worker_id, held.ends[place]) for held in seam.sides] + seam.referees
        )
        if believed is None:
            self._dispute(seam, line, place, verdict)
            return
        for held in seam.sides.copy():
            if held.ends[place] != believed.found and held not in seam.right:
                self._withdraw(held)
                verdict.wrong.append(held)
        for held in seam.sides:
            if held.ends[place] == believed.found and held not in seam.agreed:
                seam.agreed.append(held)
                self._agrees(held, verdict)

    def _dispute(self, seam: _Seam, line: int, place: int, verdict: Verdict) -> None:
        if len(seam.sides) < 2 or seam.is_asking:
            return
        if len(seam.referees) == MAX_REFEREES:
            raise ComputationError(f"no two workers agree about what is at {place:,}")
        seam.is_asking = True
        sides = sorted(seam.sides, key=lambda held: held.segment.start, reverse=True)
        spoke = [opinion.worker_id for opinion in seam.referees] + [held.worker_id for held in sides]
        verdict.disputes.append(Dispute(line, place, tuple(dict.fromkeys(spoke))))

    def _agrees(self, held: Held, verdict: Verdict) -> None:
        held.num_open -= 1
        if held.num_open:
            return
        verdict.right.append(held)
        for place in held.ends:
            seam = self._seams[held.line, place]
            seam.right.append(held)
            if len(seam.right) == (2 if seam.known is None else 1):
                del self._seams[held.line, place]

    def _withdraw(self, held: Held) -> None:
        """It is wrong: what it said does not count, and who agreed with it has to agree with another."""
        for place in held.ends:
            seam = self._seams[held.line, place]
            seam.sides.remove(held)
            for other in [other for other in seam.agreed if other not in seam.right]:
                seam.agreed.remove(other)
                other.num_open += 1


def _believed(opinions: list[Opinion]) -> Opinion | None:
    """The first that two have; or the only one of somebody who has said nothing else, beside others who have."""
    said: dict[str, set[str | None]] = {}
    for worker_id, found in opinions:
        said.setdefault(worker_id, set()).add(found)
    steady = [opinion for opinion in opinions if len(said[opinion.worker_id]) == 1]
    for opinion in (counted := steady or opinions):
        if sum(opinion.found == other.found for other in counted) > 1:
            return opinion
    return steady[0] if len(steady) == 1 < len(opinions) - 1 else None

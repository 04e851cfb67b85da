"""What of a job has not been handed out yet, cut lazily: the next piece is made when a worker has room for it."""

from app.job import Execution, Job, Segment
from app.queue.cost import CostModel
from app.queue.progress import Progress, Stretch

SNAP = 1.2
"""A piece may cost this many times what was asked for if that saves a cut inside a line."""

LEAST_SECONDS = 1e-9
"""The least a line takes, whatever its kernel says about its work."""


class Remainder:
    """A position in what is missing of the job's lines, however many there are and however long."""

    __slots__ = ("_after", "_cost", "_is_local", "_later", "_line", "_position", "_stop", "_task")

    def __init__(self, job: Job, cost: CostModel, progress: Progress | None = None) -> None:
        """``progress``: what of it is done already."""
        self._task = job.task
        self._is_local = job.execution is Execution.LOCAL
        self._cost = cost
        missing = (
            [Stretch(0, 0, job.task.length, job.task.num_lines)] if progress is None else progress.missing(job.task)
        )
        self._later = missing[:0:-1]
        """The stretches after the present one, the next one last."""
        self._begin(missing[0])

    @property
    def exhausted(self) -> bool:
        """Whether everything has been handed out."""
        return self._line == self._after

    @property
    def line(self) -> int:
        """The line in which the next cut begins."""
        return self._line

    @property
    def seconds(self) -> float:
        """Predicted seconds of computing it, one piece after the other."""
        if self.exhausted:
            return 0.0
        task, cost, left = self._task, self._cost, self._after - self._line
        rest = cost.seconds(task, self._position, self._stop)
        rest += cost.seconds(task, 0, task.length, left - 1) if left > 1 else 0.0
        return rest + sum(cost.seconds(task, each.start, each.stop, each.num_lines) for each in self._later)

    @property
    def core_seconds(self) -> float:
        """What it is predicted to cost."""
        return self.seconds * self._cost.speed

    @property
    def cut_seconds(self) -> float:
        """What the next cut costs by itself: another beginning and check."""
        return self._cost.seconds(self._task, self._position, self._position)

    @property
    def mean_cut_seconds(self) -> float:
        """What a cut costs in the middle of what is left of the line: cuts cost the more, the further they are."""
        middle = (self._position + self._stop) // 2
        return self._cost.seconds(self._task, middle, middle)

    def cut(self, seconds: float) -> tuple[Segment, ...]:
        """The next piece, of about ``seconds`` of predicted work; at least one unit, or one empty line.

        A local job is one piece. Otherwise the cut falls between two lines where that is near enough, because a cut
        inside one costs another beginning and check. A piece never goes beyond what is missing in a row.
        """
        task, cost = self._task, self._cost
        if self._is_local:
            return self._take(task.num_lines)
        segments: tuple[Segment, ...] = ()
        if self._position > 0 or self._stop < task.length:
            rest = cost.seconds(task, self._position, self._stop)
            if rest > SNAP * seconds:
                return self._take_part(seconds)
            is_last = self._line + 1 == self._after
            segments = self._take(1)
            if is_last:
                return segments
            seconds -= rest
        left = self._after - self._line
        each = max(LEAST_SECONDS, cost.seconds(task, 0, task.length))
        whole = min(left, int(max(0.0, SNAP * seconds / each)))
        if whole:
            segments += self._take(whole)
        elif not segments:
            segments = self._take_part(seconds)
        return segments

    def _begin(self, stretch: Stretch) -> None:
        self._line, self._position, self._stop = stretch.line, stretch.start, stretch.stop
        self._after = stretch.line + stretch.num_lines
        """The line after its last."""

    def _take(self, count: int) -> tuple[Segment, ...]:
        """To the end of the current line, and ``count - 1`` whole ones."""
        segment = Segment(self._task, self._position, self._stop, count)
        self._line += count
        self._position, self._stop = 0, self._task.length
        if self.exhausted and self._later:
            self._begin(self._later.pop())
        return (segment,)

    def _take_part(self, seconds: float) -> tuple[Segment, ...]:
        stop = self._cost.stop_for(self._task, self._position, seconds)
        if stop >= self._stop:
            return self._take(1)
        segment = Segment(self._task, self._position, stop)
        self._position = stop
        return (segment,)

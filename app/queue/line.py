"""A job as a line of terms, cut off lazily: the next stretch is made when a worker has room for it."""

from app.job import Execution, Job, Segment
from app.queue.cost import CostModel

OVERHEAD_LIMIT = 20
"""A piece costs at least this many times its own seed and check, or they would dominate."""

SNAP = 1.2
"""A piece may cost this many times what was asked for if that saves a cut inside a sequence."""


class Line:
    """What of a job has not been handed out yet: a position, whatever the size of the job."""

    __slots__ = ("_cost", "_job", "_position", "_sequence")

    def __init__(self, job: Job, cost: CostModel) -> None:
        self._job = job
        self._cost = cost
        self._sequence = 0
        self._position = 0

    @property
    def exhausted(self) -> bool:
        """Whether everything has been handed out."""
        return self._sequence == self._job.num_sequences

    @property
    def sequence(self) -> int:
        """The sequence in which the next cut begins."""
        return self._sequence

    @property
    def remaining_seconds(self) -> float:
        """Predicted seconds of computing what is left, one after the other."""
        if self.exhausted:
            return 0.0
        size, left = self._job.sequence_size, self._job.num_sequences - self._sequence
        rest = self._cost.segment_seconds(self._position, size)
        return rest + self._cost.segment_seconds(0, size, left - 1)

    @property
    def core_seconds(self) -> float:
        """What is left is predicted to cost."""
        return self.remaining_seconds * self._cost.speed

    def floor_seconds(self, floor_seconds: float) -> float:
        """The least a piece cut here should cost."""
        return max(floor_seconds, OVERHEAD_LIMIT * self._cost.overhead_seconds(self._position))

    def cut(self, seconds: float) -> tuple[Segment, ...]:
        """The next stretch, of about ``seconds`` of predicted work; at least one term, or one empty sequence.

        A local job is one stretch. Otherwise the cut falls between two sequences where that is near
        enough, because a cut inside one costs another seed and check.
        """
        job, cost = self._job, self._cost
        if job.execution is Execution.LOCAL:
            return self._take(job.num_sequences)
        segments: tuple[Segment, ...] = ()
        if self._position > 0:
            rest = cost.segment_seconds(self._position, job.sequence_size)
            if rest > SNAP * seconds:
                return self._take_part(seconds)
            segments = self._take(1)
            seconds -= rest
        left = job.num_sequences - self._sequence
        each = cost.segment_seconds(0, job.sequence_size)
        whole = min(left, int(max(0.0, SNAP * seconds / each)))
        if whole:
            segments += self._take(whole)
        elif not segments:
            segments = self._take_part(seconds)
        return segments

    def _take(self, count: int) -> tuple[Segment, ...]:
        """To the end of the current sequence, and ``count - 1`` whole ones."""
        size = self._job.sequence_size
        position, self._position = self._position, 0
        self._sequence += count
        if not self.exhausted:
            return (Segment(position, size, count),)
        return (Segment(position, size, count, wants_last_term=True),)

    def _take_part(self, seconds: float) -> tuple[Segment, ...]:
        stop = self._cost.stop_for(self._position, seconds)
        if stop >= self._job.sequence_size:
            return self._take(1)
        segment = Segment(self._position, stop)
        self._position = stop
        return (segment,)

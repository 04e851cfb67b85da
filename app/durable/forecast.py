"""When a durable job will be done: from how fast durable jobs have been computed in the last minute."""

from collections import deque
from collections.abc import Collection

from app.durable.kept import Kept, KeptJobs
from app.durable.records import Record
from app.durable.runner import Runner
from app.queue.sharing import seconds_ahead

WINDOW_SECONDS = 60.0
LEAST_SECONDS = 5.0
"""Until it has been watched for so long, nothing is said."""


class Speed:
    """Seconds of computing a second that come back, over all durable jobs together."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque()

    def note(self, compute_seconds: float, now: float) -> None:
        """So much has come back in all until now."""
        self._marks.append((now, compute_seconds))
        while self._marks[0][0] < now - WINDOW_SECONDS:
            self._marks.popleft()

    def reset(self) -> None:
        """Nothing is computed: what was known says nothing about later."""
        self._marks.clear()

    @property
    def rate(self) -> float | None:
        """None until it is known."""
        if len(self._marks) < 2:
            return None
        (begun_at, begun), (ended_at, ended) = self._marks[0], self._marks[-1]
        seconds, computed = ended_at - begun_at, ended - begun
        return computed / seconds if seconds >= LEAST_SECONDS and computed > 0 else None


def service_seconds(mine: float, own: Collection[float], before: float, others: Collection[float]) -> float:
    """Seconds of computing, of everybody, until a job with ``mine`` seconds left is done in the fair queue.

    ``own``: seconds left in each of the caller's other jobs that take turns with it; ``before``: in those that come
    before it, if it does not take turns yet; ``others``: in all jobs of each other caller.
    """
    service = mine + before + seconds_ahead(own, mine)
    return service + seconds_ahead(others, service)


class Forecast:
    """Predicts the end of each job, from what is left of all."""

    def __init__(self, kept: KeptJobs, runner: Runner) -> None:
        self._kept = kept
        self._runner = runner
        self._speed = Speed()

    def look(self, now: float) -> None:
        """Note how much has come back."""
        if len(self._runner):
            self._speed.note(self._runner.compute_seconds, now)
        else:
            self._speed.reset()

    def seconds_left(self, record: Record) -> float | None:
        """Predicted seconds until an unfinished job is done; None while that is not known."""
        if (rate := self._speed.rate) is None:
            return None
        caller, number, mine = record.caller, record.number, self._work_left(record)
        rest = [kept for kept in self._kept.of(caller) if kept.record.number != number]
        turns = [self._left(kept) for kept in rest if kept.record.job_id in self._runner]
        others = [sum(map(self._left, self._kept.of(name))) for name in self._kept.callers if name != caller]
        if record.job_id in self._runner:
            return service_seconds(mine, turns, 0.0, others) / rate
        waiting = (kept for kept in rest if kept.record.job_id not in self._runner and kept.record.number < number)
        return service_seconds(mine, (), sum(turns) + sum(map(self._left, waiting)), others) / rate

    def _left(self, kept: Kept) -> float:
        return self._work_left(kept.record)

    def _work_left(self, record: Record) -> float:
        """Predicted seconds of computing."""
        if record.job_id in self._runner:
            return self._runner[record.job_id].unfinished_seconds
        return max(0.0, record.predicted_core_seconds - record.core_seconds) / self._runner.cost.speed

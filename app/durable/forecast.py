"""When a durable job will be done: from how fast durable jobs have been computed in the last minute."""

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator
from itertools import accumulate

from app.durable.kept import Kept, KeptJobs
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


class Sharing:
    """How much all callers together get until one of them has got so much: in a fair queue at most as much each."""

    def __init__(self, totals: Collection[float]) -> None:
        self._totals = sorted(totals)
        self._sums = [0.0, *accumulate(self._totals)]

    def service(self, own_total: float, service: float) -> float:
        """Seconds of computing, of everybody, until a caller that wants ``own_total`` has got ``service``."""
        less = bisect_left(self._totals, service)
        everybody = self._sums[less] + service * (len(self._totals) - less)
        return service + everybody - min(own_total, service)


class Forecast:
    """Predicts the end of every job, once in a while for all of them: so it costs the same, however often one asks."""

    def __init__(self, kept: KeptJobs, runner: Runner) -> None:
        self._kept = kept
        self._runner = runner
        self._speed = Speed()
        self._seconds: dict[str, float] = {}
        self._looked_at = 0

    def look(self, now: float, wall_clock: int) -> None:
        """Note how much has come back, and predict. ``wall_clock``: milliseconds since 1970."""
        if len(self._runner):
            self._speed.note(self._runner.compute_seconds, now)
        else:
            self._speed.reset()
        rate = self._speed.rate
        self._seconds = {} if rate is None else {job_id: service / rate for job_id, service in self._services()}
        self._looked_at = wall_clock

    def seconds_left(self, job_id: str) -> float | None:
        """Predicted seconds until an unfinished job is done, as of the last look; None while that is not known."""
        return self._seconds.get(job_id)

    def finish_at(self, job_id: str) -> int | None:
        """The same as a moment, in milliseconds since 1970."""
        seconds = self._seconds.get(job_id)
        return None if seconds is None else self._looked_at + round(1000 * seconds)

    def _services(self) -> Iterator[tuple[str, float]]:
        """Seconds of computing, of everybody, until each job is done in the fair queue."""
        jobs = {
            caller: [(kept.record.job_id, self._left(kept)) for kept in self._kept.of(caller) if kept.task is not None]
            for caller in self._kept.callers
        }
        totals = {caller: sum(left for _, left in own) for caller, own in jobs.items()}
        sharing = Sharing(totals.values())
        for caller, own in jobs.items():
            turns = {job_id: left for job_id, left in own if job_id in self._runner}
            before = sum(turns.values())
            for job_id, left in own:
                if job_id in turns:  # each of the others gets as much, until it is done
                    service = seconds_ahead(turns.values(), left)
                else:
                    service = before = before + left
                yield job_id, sharing.service(totals[caller], service)

    def _left(self, kept: Kept) -> float:
        """Predicted seconds of computing."""
        record = kept.record
        if record.job_id in self._runner:
            return self._runner[record.job_id].unfinished_seconds
        return max(0.0, record.predicted_core_seconds - record.core_seconds) / self._runner.cost.speed

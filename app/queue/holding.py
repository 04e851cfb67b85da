"""What admission counts: one caller's unfinished jobs, and how much work everybody asked for lately."""

import heapq
import math

from app.queue.lanes import SHORT_SECONDS
from app.queue.live_job import LiveJob

TURNS_SECONDS = 3.0
"""Jobs up to this are not overtaken by so many later ones that they wait too long. For the sake of a larger one, of
minutes perhaps, nobody is refused: only its deadline ends its wait."""


class Holding:
    """One caller's admitted, unfinished jobs."""

    __slots__ = ("_sizes", "jobs", "num_turns", "refused_seconds", "seconds")

    def __init__(self) -> None:
        self.jobs: dict[int, LiveJob] = {}
        self.seconds = 0.0
        self.num_turns = 0
        """Jobs that take turns: all but those of the express lane, which wait for nobody."""
        self.refused_seconds = 0.0
        """The largest job refused because of that since there was last little to do: it gets its chance too."""
        self._sizes: list[tuple[float, int]] = []

    def add(self, job: LiveJob) -> None:
        """Count one job more."""
        self.jobs[job.number] = job
        self.seconds += job.predicted_seconds
        self.num_turns += takes_turns(job)
        if takes_turns(job) and job.predicted_seconds <= TURNS_SECONDS:
            heapq.heappush(self._sizes, (-job.predicted_seconds, job.number))
        if len(self._sizes) > 2 * len(self.jobs) + 64:  # mostly jobs that have ended
            self._sizes = [size for size in self._sizes if size[1] in self.jobs]
            heapq.heapify(self._sizes)

    def remove(self, job: LiveJob) -> None:
        """Count one job less; its seconds are already subtracted."""
        del self.jobs[job.number]
        self.num_turns -= takes_turns(job)

    @property
    def largest_seconds(self) -> float:
        """The largest of the jobs up to ``TURNS_SECONDS`` that are there or were refused."""
        while self._sizes and self._sizes[0][1] not in self.jobs:
            heapq.heappop(self._sizes)
        return max(self.refused_seconds, -self._sizes[0][0] if self._sizes else 0.0)

    @property
    def remaining(self) -> list[float]:
        """Predicted seconds of computing left in each job."""
        return [job.unfinished_seconds for job in self.jobs.values()]

    @property
    def first_finished_seconds(self) -> float:
        """Predicted seconds of computing for this caller until one of its jobs is finished: they take turns."""
        return min(self.remaining) * len(self.jobs)


class AskedFor:
    """How much work was asked for lately, admitted or not."""

    __slots__ = ("_at", "_memory_seconds", "_seconds")

    def __init__(self, memory_seconds: float) -> None:
        self._memory_seconds = memory_seconds
        self._seconds = 0.0
        self._at = 0.0

    def add(self, seconds: float, now: float) -> None:
        """So many predicted seconds of computing."""
        self._seconds *= math.exp(min(0.0, self._at - now) / self._memory_seconds)
        self._seconds += seconds
        self._at = now

    @property
    def rate(self) -> float:
        """Predicted seconds of computing a second, as of the last job: as many workers would be busy with it."""
        return self._seconds / self._memory_seconds


def takes_turns(job: LiveJob) -> bool:
    """Whether it waits for its turn among others: all but those of the express lane."""
    return job.core_seconds > SHORT_SECONDS

"""The admitted, unfinished jobs, and admission control: refusals computed from cost."""

import math
from collections.abc import Iterator, Sequence

from app.errors import QueueFullError, TooCostlyError
from app.progress import Progress
from app.settings import Settings


class Backlog:
    """Every job between its admission and its answer, with the predicted work that is left of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs: dict[int, Progress] = {}
        self.seconds = 0.0
        """Predicted core-seconds until everything admitted is computed."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Progress]:
        return iter(self._jobs.values())

    def __getitem__(self, number: int) -> Progress:
        return self._jobs[number]

    def admit(self, jobs: Sequence[Progress], num_workers: int) -> None:
        """Take in jobs that belong together.

        Raises ``TooCostlyError`` if they alone exceed the limit, ``QueueFullError`` if too much stands ahead of them.
        """
        settings = self._settings
        seconds = sum(job.predicted_seconds for job in jobs)
        if seconds > settings.max_compute_seconds:
            raise TooCostlyError(seconds, settings.max_compute_seconds)
        wait_seconds = self._seconds_ahead_of(seconds, num_workers) / max(1, num_workers)
        if (excess := wait_seconds - settings.max_queued_seconds) > 0:
            limit = f"longer than {settings.max_queued_seconds:g} s"
            reason = f"What stands ahead of the job takes {wait_seconds:.1f} s, {limit}."
            raise QueueFullError(reason, max(1, math.ceil(excess)))
        if len(self._jobs) >= settings.max_queued_jobs:
            reason = f"{len(self._jobs)} jobs are unfinished: no more are held."
            raise QueueFullError(reason, max(1, math.ceil(wait_seconds)))
        for job in jobs:
            self._jobs[job.number] = job
        self.seconds += seconds

    def settle(self, job: Progress) -> None:
        """Count anew what is left of the job, by what the cost model has learnt since its admission."""
        self._set(job, job.line.remaining_seconds + job.out_seconds)

    def remove(self, job: Progress) -> None:
        """Forget the job, and what was left of it."""
        if self._jobs.pop(job.number, None) is not None:
            self._set(job, 0.0)
        if not self._jobs:
            self.seconds = 0.0  # or rounding would add up

    def _set(self, job: Progress, seconds: float) -> None:
        self.seconds = max(0.0, self.seconds + seconds - job.unfinished_seconds)
        job.unfinished_seconds = seconds

    def _seconds_ahead_of(self, seconds: float, num_workers: int) -> float:
        """Predicted core-seconds of others that the fair queue serves before a newcomer of ``seconds`` is finished.

        A fair queue lets nobody do more than the newcomer while both are there, so each counts with
        at most ``seconds``: behind one job of ten minutes, a millisecond waits for a millisecond.
        """
        if self.seconds <= self._settings.max_queued_seconds * max(1, num_workers):
            return self.seconds  # the sum below is no more than this, and it is not needed exactly
        return sum(min(job.unfinished_seconds, seconds) for job in self)

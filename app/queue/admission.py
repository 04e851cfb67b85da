"""The admitted, unfinished jobs, and admission control: refusals computed from cost."""

import math
from collections.abc import Iterator, Sequence

from app.errors import CallerLimitError, QueueFullError, TooCostlyError
from app.queue.holding import TURNS_SECONDS, AskedFor, Holding, takes_turns
from app.queue.live_job import LiveJob
from app.queue.sharing import seconds_ahead, service_until
from app.settings import Settings

WHOLE_SECONDS = 1.0
"""A job with less than this left counts in full against every newcomer. Smaller ones would overtake it, and in an
overload they never stop coming."""
RELAXED = 0.1
"""Fraction of ``max_queued_seconds``: if all the work takes no longer, it does not matter who overtakes whom."""
MEMORY = 1 / 6
"""Fraction of ``max_queued_seconds``: how long it is remembered how much work was asked for, to tell an overload from a
burst or from the loss of workers."""


class Admission:
    """Every job between its admission and its answer, with the predicted work left in it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs: dict[int, LiveJob] = {}
        self._holdings: dict[str, Holding] = {}
        self._asked_for = AskedFor(MEMORY * settings.max_queued_seconds)
        self.seconds = 0.0
        """Predicted seconds that one worker would need for everything admitted."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[LiveJob]:
        return iter(self._jobs.values())

    def admit(self, jobs: Sequence[LiveJob], num_workers: int) -> None:
        """Admit jobs of one caller that belong together.

        Raises ``TooCostlyError`` if they alone exceed the limit, ``CallerLimitError`` if their caller has a name and
        too much unfinished work, ``QueueFullError`` if too much work is ahead of them.
        """
        settings, caller = self._settings, jobs[0].job.caller
        core_seconds = sum(job.core_seconds for job in jobs)
        if core_seconds > settings.max_compute_seconds:
            raise TooCostlyError(core_seconds, settings.max_compute_seconds)
        seconds = sum(job.predicted_seconds for job in jobs)
        if caller:
            self._check_caller(caller, len(jobs), max(seconds, WHOLE_SECONDS), max(1, num_workers))
        self._asked_for.add(min(seconds, TURNS_SECONDS), jobs[0].accepted_at)
        wait_seconds = self._seconds_ahead_of(caller, seconds, num_workers) / max(1, num_workers)
        if (excess := wait_seconds - settings.max_queued_seconds) > 0:
            limit = f"the limit is {settings.max_queued_seconds:g} s"
            reason = f"The work ahead of this job would take {wait_seconds:.1f} s; {limit}."
            raise QueueFullError(reason, max(1, math.ceil(excess)))
        if self._jobs and len(self._jobs) + len(jobs) > settings.max_queued_jobs:
            limit = f"the limit is {settings.max_queued_jobs}"
            reason = f"The service already holds {len(self._jobs)} unfinished jobs; {limit}."
            raise QueueFullError(reason, max(1, math.ceil(self._first_finished_seconds() / max(1, num_workers))))
        holding = self._holdings.setdefault(caller, Holding())
        self._check_turns(caller, holding, jobs, max(1, num_workers))
        for job in jobs:
            self._jobs[job.number] = job
            holding.add(job)
        self.seconds += seconds

    def settle(self, job: LiveJob) -> None:
        """Predict again what is left of the job, by what the cost model has learnt since its admission."""
        self._set(job, job.remainder.seconds + job.out_seconds)

    def remove(self, job: LiveJob) -> None:
        """Forget the job, and what was left of it."""
        if self._jobs.pop(job.number, None) is not None:
            self._set(job, 0.0)
            holding = self._holdings[job.job.caller]
            holding.remove(job)
            if not holding.jobs:
                del self._holdings[job.job.caller]
        if not self._jobs:
            self.seconds = 0.0  # or rounding would add up

    def _set(self, job: LiveJob, seconds: float) -> None:
        change = seconds - job.unfinished_seconds
        self.seconds = max(0.0, self.seconds + change)
        if (holding := self._holdings.get(job.job.caller)) is not None:
            holding.seconds = max(0.0, holding.seconds + change)
        job.unfinished_seconds = seconds

    def _check_caller(self, caller: str, num_jobs: int, seconds: float, num_workers: int) -> None:
        settings = self._settings
        if (holding := self._holdings.get(caller)) is None:
            return
        if len(holding.jobs) + num_jobs > settings.max_caller_jobs:
            limit = f"the limit for one caller is {settings.max_caller_jobs}"
            reason = f"{caller} already has {len(holding.jobs)} unfinished jobs; {limit}."
            service = holding.first_finished_seconds
        else:
            allowed = settings.max_caller_queued_seconds * num_workers
            if holding.seconds <= allowed:
                return  # before the sum over the caller's jobs
            if (own_seconds := seconds_ahead(holding.remaining, seconds)) <= allowed:
                return
            service = service_until(holding.remaining, seconds, allowed)
            limit = f"the limit is {settings.max_caller_queued_seconds:g} s"
            reason = f"{caller}'s own work ahead of this job would take {own_seconds / num_workers:.1f} s; {limit}."
        retry_after_seconds = (service + self._others_seconds(caller, service)) / num_workers
        raise CallerLimitError(reason, max(1, math.ceil(retry_after_seconds)))

    def _check_turns(self, caller: str, holding: Holding, jobs: Sequence[LiveJob], num_workers: int) -> None:
        """Raise if, with these jobs, the largest would wait too long while there are always as many others as now.

        When more comes in than can be done, each finished job is replaced at once by one that takes turns with the
        larger ones and overtakes them. So the largest is served as much as each of the others.
        """
        limit_seconds = self._settings.max_queued_seconds * num_workers
        if holding.seconds + self._others_seconds(caller, holding.seconds) <= RELAXED * limit_seconds:
            holding.refused_seconds = 0.0
            return
        if self._asked_for.rate <= num_workers:
            return  # those who pass the larger ones end with the burst, or when lost workers are back
        if not (turns := sum(map(takes_turns, jobs))):
            return
        sizes = [job.predicted_seconds for job in jobs if job.predicted_seconds <= TURNS_SECONDS]
        largest_seconds = max(holding.largest_seconds, *sizes, 0.0)
        service = (holding.num_turns + turns - 1) * largest_seconds
        if service + self._others_seconds(caller, service) > limit_seconds:
            holding.refused_seconds = largest_seconds
            reason = f"{holding.num_turns} unfinished jobs take turns: with more, the largest would wait too long."
            service = holding.first_finished_seconds
            wait_seconds = (service + self._others_seconds(caller, service)) / num_workers
            raise QueueFullError(reason, max(1, math.ceil(wait_seconds)))

    def _seconds_ahead_of(self, caller: str, seconds: float, num_workers: int) -> float:
        """Predicted seconds of computing until a newcomer of ``seconds`` is finished in a fair queue, without its own.

        In a fair queue nobody gets more than the newcomer while both are there. It is fair between callers first: each
        of the caller's own jobs counts for at most ``seconds``, and all jobs of another caller together for at most
        what the caller gets until then. So a job of a millisecond waits for hardly more than that behind one of ten
        minutes. Small jobs count in full (``WHOLE_SECONDS``).
        """
        seconds = max(seconds, WHOLE_SECONDS)
        if self.seconds <= self._settings.max_queued_seconds * max(1, num_workers):
            return self.seconds  # the sums below are no more than this, and they are not needed exactly
        holding = self._holdings.get(caller)
        own_seconds = 0.0 if holding is None else seconds_ahead(holding.remaining, seconds)
        return own_seconds + self._others_seconds(caller, own_seconds + seconds)

    def _first_finished_seconds(self) -> float:
        """Predicted seconds of computing until any job is finished: callers take turns, and so do their jobs."""
        service, caller = min((holding.first_finished_seconds, caller) for caller, holding in self._holdings.items())
        return service + self._others_seconds(caller, service)

    def _others_seconds(self, caller: str, seconds: float) -> float:
        """What other callers get while ``caller`` gets ``seconds``: at most as much each."""
        return sum(min(holding.seconds, seconds) for name, holding in self._holdings.items() if name != caller)

"""Which durable jobs are accepted: refusals computed from cost, and from how many there are."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.durable.forecast import Forecast
from app.durable.kept import KeptJobs
from app.durable.records import NewJob, Record, State
from app.durable.runner import Runner
from app.durable.tasks import task_of
from app.errors import CallerLimitError, QueueFullError, TooCostlyError
from app.kernel import Offer
from app.settings import Settings

UNKNOWN_RETRY_SECONDS = 60.0
MAX_RETRY_SECONDS = 3_600


class DurableAdmission:
    """Counts what is unfinished, and what is just being written."""

    def __init__(
        self, settings: Settings, offers: list[Offer], kept: KeptJobs, runner: Runner, forecast: Forecast
    ) -> None:
        self._settings = settings
        self._offers = offers
        self._kept = kept
        self._runner = runner
        self._forecast = forecast
        self._writing: Counter[str] = Counter()
        """Jobs that are being written for the first time, by caller."""

    @contextmanager
    def admitted(self, new: NewJob, now: int) -> Iterator[Record]:
        """Its record, to be written within the block. Raises a ``RefusedError``."""
        record = self._record(new, now)
        self._check_numbers(new.caller)
        self._writing[new.caller] += 1
        try:
            yield record
        finally:
            self._writing[new.caller] -= 1
            self._writing += Counter()  # without those that have none

    def _record(self, new: NewJob, now: int) -> Record:
        timeout_seconds = new.timeout_seconds or self._settings.max_job_timeout_seconds
        record = Record(
            job_id=new.job_id, number=0, caller=new.caller, key=new.key, fingerprint=new.fingerprint,
            kernel=new.kernel, request=new.request, num_workers=new.num_workers, state=State.QUEUED,
            created_at=now, deadline_at=now + round(1000 * timeout_seconds), predicted_core_seconds=0.0,
        )  # fmt: skip
        task = task_of(record, self._offers)
        core_seconds = self._runner.core_seconds(task)
        if core_seconds > self._settings.max_job_core_seconds:
            raise TooCostlyError(core_seconds, self._settings.max_job_core_seconds)
        return replace(record, predicted_core_seconds=core_seconds, total_units=task.length * task.num_lines)

    def _check_numbers(self, caller: str) -> None:
        settings = self._settings
        own = self._kept.number_of(caller) + self._writing[caller]
        if caller and own >= settings.max_caller_unfinished_jobs:
            limit = f"the limit for one caller is {settings.max_caller_unfinished_jobs}"
            reason = f"{caller} already has {own} unfinished durable jobs; {limit}."
            raise CallerLimitError(reason, self._first_finished_seconds([caller]))
        number = len(self._kept) + self._writing.total()
        if number >= settings.max_unfinished_jobs:
            limit = f"the limit is {settings.max_unfinished_jobs}"
            reason = f"The service already has {number} unfinished durable jobs; {limit}."
            raise QueueFullError(reason, self._first_finished_seconds(self._kept.callers))

    def _first_finished_seconds(self, callers: Iterable[str]) -> int:
        """Predicted seconds until one of these callers' jobs is finished."""
        first = (kept for each in callers for kept in self._kept.first(each, self._settings.max_caller_running_jobs))
        waits = [seconds for kept in first if (seconds := self._forecast.seconds_left(kept.record.job_id)) is not None]
        return min(MAX_RETRY_SECONDS, max(1, math.ceil(min(waits, default=UNKNOWN_RETRY_SECONDS))))

"""The unfinished durable jobs in the keeper's memory, by caller and in order of acceptance."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from app.durable import transitions
from app.durable.checkpoint import DamagedError, UnknownVersionError, progress_of
from app.durable.records import Record
from app.durable.tasks import task_of
from app.errors import JobError
from app.job import JobResult
from app.kernel import Offer, Task
from app.queue.progress import Progress

AGAIN = "durable job %s begins again: its checkpoint is damaged: %s"
LEFT_ALONE = "durable job %s is left alone: %s"

logger = logging.getLogger("ray.serve")  # as in app.http.problems


@dataclass(slots=True, eq=False)
class Kept:
    """An unfinished job."""

    record: Record
    """As it was last committed."""
    task: Task | None
    """None if it cannot be computed here: it is kept, and left alone."""
    progress: Progress | None = None
    """What was done before this keeper."""
    outcome: JobResult | JobError | None = None
    """What became of it, until that is committed."""
    save_at: float = 0.0
    """When its progress may be written next, by the clock that never goes back."""
    expires_from: float = 0.0
    """From when on its deadline counts, by the same: the wall clock may have jumped, until somebody notices."""


def kept_of(record: Record, offers: list[Offer]) -> Kept:
    """An unfinished job as it was stored. One that cannot be computed here is left alone."""
    kept = Kept(record, None)
    try:
        task = task_of(record, offers)
        if record.checkpoint is not None:
            kept.progress = progress_of(record.checkpoint)
        kept.task = task
    except DamagedError as damage:
        logger.error(AGAIN, record.job_id, damage)  # noqa: TRY400 (the message says it all, as below)
        kept.record, kept.task = transitions.begun_again(record), task
    except UnknownVersionError:
        logger.error(LEFT_ALONE, record.job_id, "a later version of the service wrote its checkpoint")  # noqa: TRY400 (as above)
    except ValueError as error:
        logger.error(LEFT_ALONE, record.job_id, error)  # noqa: TRY400 (as above)
    return kept


class KeptJobs:
    """All of them."""

    def __init__(self) -> None:
        self._jobs: dict[str, Kept] = {}
        self._callers: dict[str, dict[str, Kept]] = {}
        self._by_key: dict[tuple[str, str], Kept] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Kept]:
        return iter(list(self._jobs.values()))

    def get(self, job_id: str) -> Kept | None:
        """The job, if it is not over."""
        return self._jobs.get(job_id)

    def by_key(self, caller: str, key: str) -> Kept | None:
        """The caller's unfinished job with this Idempotency-Key."""
        return self._by_key.get((caller, key))

    def add(self, kept: Kept) -> None:
        """The caller's newest job."""
        record = kept.record
        self._jobs[record.job_id] = kept
        self._callers.setdefault(record.caller, {})[record.job_id] = kept
        if record.key is not None:
            self._by_key[record.caller, record.key] = kept

    def remove(self, job_id: str) -> Kept | None:
        """It is over, or gone."""
        if (kept := self._jobs.pop(job_id, None)) is not None:
            record = kept.record
            del self._callers[record.caller][job_id]
            if not self._callers[record.caller]:
                del self._callers[record.caller]
            if record.key is not None:
                del self._by_key[record.caller, record.key]
        return kept

    @property
    def callers(self) -> list[str]:
        """Those who have any."""
        return list(self._callers)

    def of(self, caller: str) -> list[Kept]:
        """The caller's, in order."""
        return list(self._callers.get(caller, {}).values())

    def number_of(self, caller: str) -> int:
        """How many the caller has."""
        return len(self._callers.get(caller, ()))

    def first(self, caller: str, number: int) -> list[Kept]:
        """The caller's first ones that can be computed here."""
        able = (kept for kept in self._callers.get(caller, {}).values() if kept.task is not None)
        return list(islice(able, number))

"""The unfinished jobs in the hands of one keeper: taken over from the store, computed, and written back."""

import logging
import time
from collections.abc import Iterable

from app.durable import transitions
from app.durable.change_log import ChangeLog
from app.durable.checkpoint import DamagedError, UnknownVersionError, progress_of
from app.durable.kept import Kept, KeptJobs
from app.durable.records import Record
from app.durable.runner import Runner
from app.durable.tasks import task_of
from app.durable.writer import Writer
from app.errors import DeadlineError, JobError
from app.job import JobResult
from app.kernel import Offer
from app.settings import Settings

LARGE_CHECKPOINT = 16_384
LARGE_SECONDS = 5.0
"""A checkpoint of more than so many characters is written no more often than this."""
AGAIN = "durable job %s begins again: its checkpoint is damaged: %s"
LEFT_ALONE = "durable job %s is left alone: %s"

logger = logging.getLogger("ray.serve")  # as in app.http.problems


class Custody:
    """What is in memory follows what is committed, never the other way round."""

    def __init__(
        self,
        writer: Writer,
        kept: KeptJobs,
        runner: Runner,
        *,
        log: ChangeLog,
        settings: Settings,
        offers: list[Offer],
    ) -> None:
        self._writer = writer
        self._kept = kept
        self._runner = runner
        self._log = log
        self._settings = settings
        self._offers = offers
        self._ttl = round(1000 * settings.result_ttl_seconds)
        self.num_finished = 0

    async def go_on(self, records: Iterable[Record], now: int) -> None:
        """Take over what another keeper had: all of it, or nothing."""
        changed = [transitions.resumed(record, now, self._ttl) for record in records]
        await self._writer.write(lambda session: [session.save(record) for record in changed])
        for record in changed:
            if record.state.done:
                self.num_finished += 1
            else:
                self._keep(record)
        self._start_more(self._kept.callers)

    async def reconcile(self) -> None:
        """After the store failed: it may have written what it did not say, and the other way round."""
        stored: list[Record] = await self._writer.read(lambda session: session.unfinished())
        self.num_finished = await self._writer.read(lambda session: session.num_finished())
        by_id = {record.job_id: record for record in stored}
        for kept in self._kept:
            record = by_id.pop(kept.record.job_id, None)
            if record is None:
                self.drop(kept.record.job_id)
            elif record.revision > kept.record.revision:
                kept.record = record
                self._log.note(record.job_id)
        for record in by_id.values():
            self.adopt(record)

    def adopt(self, record: Record) -> None:
        """A job that has just been accepted."""
        self._keep(record)
        self._log.note(record.job_id)
        self._start_more([record.caller])

    def ended(self, job_id: str, outcome: JobResult | JobError) -> None:
        """A job has been computed, or cannot be; to be committed."""
        if (kept := self._kept.get(job_id)) is not None:
            kept.outcome = outcome

    def expire(self, now: int) -> None:
        """End the jobs whose deadline has passed; to be committed."""
        for kept in self._kept:
            record = kept.record
            if now >= record.deadline_at and kept.outcome is None:
                if record.job_id in self._runner:
                    self._runner.stop(record.job_id)
                kept.outcome = DeadlineError((record.deadline_at - record.created_at) / 1000)

    async def commit(self, now: int, *, everything: bool = False) -> None:
        """Write what is new, in one transaction. A job's progress is written once in a while, unless ``everything``."""
        changed = [
            (kept, record) for kept in self._kept if (record := self._next(kept, now, everything)) is not kept.record
        ]
        if not changed:
            return
        records = [record for _, record in changed]
        saved = await self._writer.write(lambda session: [session.save(record) for record in records])
        for (kept, record), is_saved in zip(changed, saved, strict=True):
            if not is_saved or self._kept.get(record.job_id) is not kept:
                continue  # it was cancelled or deleted meanwhile
            if record.state.done:
                self.over(record)
            else:
                size = len(record.checkpoint or "")
                seconds = LARGE_SECONDS if size > LARGE_CHECKPOINT else self._settings.checkpoint_seconds
                kept.record, kept.save_at = record, time.monotonic() + seconds
                self._log.note(record.job_id)

    def over(self, record: Record) -> None:
        """A job is over, and that is committed."""
        self.num_finished += 1
        self.drop(record.job_id)

    def drop(self, job_id: str) -> None:
        """Have nothing to do with it any more; the caller's next one may take turns."""
        if job_id in self._runner:
            self._runner.stop(job_id)
        if (kept := self._kept.remove(job_id)) is not None:
            self._start_more([kept.record.caller])
        self._log.note(job_id)

    def stop(self) -> None:
        """Compute no further."""
        for live in list(self._runner):
            self._runner.stop(live.job.job_id)

    def _next(self, kept: Kept, now: int, everything: bool) -> Record:
        record, outcome = kept.record, kept.outcome
        if isinstance(outcome, JobResult):
            return transitions.succeeded(record, outcome, now, self._ttl)
        if outcome is not None:
            return transitions.failed(record, outcome, now, self._ttl)
        if record.job_id not in self._runner or not (everything or time.monotonic() >= kept.save_at):
            return record
        return transitions.advanced(record, self._runner[record.job_id], now)

    def _keep(self, record: Record) -> None:
        """Know an unfinished job. One that cannot be computed here is left alone."""
        kept = Kept(record, None)
        try:
            task = task_of(record, self._offers)
            if record.checkpoint is not None:
                kept.progress = progress_of(record.checkpoint)
            kept.task = task
        except DamagedError as damage:
            logger.error(AGAIN, record.job_id, damage)  # noqa: TRY400 (the message says it all, as below)
            kept.task = task
        except UnknownVersionError:
            logger.error(LEFT_ALONE, record.job_id, "a later version of the service wrote its checkpoint")  # noqa: TRY400 (as above)
        except ValueError as error:
            logger.error(LEFT_ALONE, record.job_id, error)  # noqa: TRY400 (as above)
        self._kept.add(kept)

    def _start_more(self, callers: Iterable[str]) -> None:
        """Let each caller's first jobs take turns."""
        for caller in callers:
            for kept in self._kept.first(caller, self._settings.max_caller_running_jobs):
                record = kept.record
                if kept.task is not None and kept.outcome is None and record.job_id not in self._runner:
                    self._runner.start(record.job_id, record.number, caller, kept.task, kept.progress)

"""The unfinished jobs in the hands of one keeper: taken over from the store, computed, and written back."""

import logging
import math
import time
from collections.abc import Callable, Iterable

from app.durable import transitions
from app.durable.change_log import ChangeLog
from app.durable.kept import LEFT_ALONE, Kept, KeptJobs, kept_of
from app.durable.records import Record, State
from app.durable.runner import Runner
from app.durable.store import DeposedError, StoreError
from app.durable.writer import Writer
from app.errors import ComputationError, DeadlineError, JobError
from app.job import JobResult
from app.kernel import Offer
from app.settings import Settings

PATIENCE_SECONDS = 60.0
"""So long after a start, or a jump of the wall clock, no job of before fails for its deadline."""
LARGE_CHECKPOINT = 16_384
LARGE_SECONDS = 5.0
"""A checkpoint of more than so many characters is written no more often than this."""

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
        on_over: Callable[[Kept, Record], object],
    ) -> None:
        """``on_over`` is told of each job that is over, once that is committed."""
        self._writer = writer
        self._kept = kept
        self._runner = runner
        self._log = log
        self._settings = settings
        self._offers = offers
        self._on_over = on_over
        self._ttl = round(1000 * settings.result_ttl_seconds)
        self._resumed: dict[str, float] = {}
        """The revision that each job had then: a take-over of unknown outcome is repeated, and must not count twice."""
        self._is_stopped = False
        self.num_finished = 0

    async def go_on(self, records: Iterable[Record], now: int) -> None:
        """Take over what another keeper had: all of it, or nothing."""
        taken, changed = KeptJobs(), []
        for record in records:
            kept = kept_of(record, self._offers)
            kept.expires_from = time.monotonic() + PATIENCE_SECONDS
            taken.add(kept)
            if kept.record is not record:
                changed.append(kept)
        # Those whose turn it is: the others were not computed by the last keeper, and cannot have killed it.
        for caller in taken.callers:
            for kept in taken.first(caller, self._settings.max_caller_running_jobs):
                record = kept.record
                if record.state is State.RUNNING and record.revision < self._resumed.get(record.job_id, math.inf):
                    kept.record = transitions.resumed(record, now, self._ttl)
                    self._resumed[record.job_id] = kept.record.revision
                    changed.append(kept)
        await self._writer.write(lambda session: [session.save(kept.record) for kept in changed])
        for kept in taken:
            if kept.record.state.done:
                self.num_finished += 1
                self._on_over(kept, kept.record)
            else:
                self._kept.add(kept)
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
        self._kept.add(kept_of(record, self._offers))
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
            if now >= record.deadline_at and kept.outcome is None and time.monotonic() >= kept.expires_from:
                if record.job_id in self._runner:
                    self._runner.stop(record.job_id)
                kept.outcome = DeadlineError((record.deadline_at - record.created_at) / 1000)

    def postpone(self) -> None:
        """The wall clock has jumped: believe in no deadline before somebody may have put it right."""
        for kept in self._kept:
            kept.expires_from = time.monotonic() + PATIENCE_SECONDS

    async def release(self, now: int) -> None:
        """Write down how far everything is, and that no job has killed this keeper."""
        await self.commit(now, everything=True)
        released = [transitions.released(kept.record) for kept in self._kept if kept.record.stalled]
        if released:
            await self._writer.write(lambda session: [session.save(record) for record in released])

    async def commit(self, now: int, *, everything: bool = False) -> None:
        """Write what is new, in one transaction. A job's progress is written once in a while, unless ``everything``."""
        changed = [
            (kept, record)
            for kept in self._kept
            if (record := self._next_or_failed(kept, now, everything)) is not kept.record
        ]
        if not changed:
            return
        saved = await self._saved(changed)
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

    async def _saved(self, changed: list[tuple[Kept, Record]]) -> list[bool]:
        """Which of them were written."""
        records = [record for _, record in changed]
        try:
            saved: list[bool] = await self._writer.write(lambda session: [session.save(record) for record in records])
        except (StoreError, DeposedError):
            raise
        except Exception:  # one of them cannot be stored: the others must be
            logger.exception("durable jobs are written one by one: together they cannot be")
            return [await self._is_saved(*each) for each in changed]
        return saved

    async def _is_saved(self, kept: Kept, record: Record) -> bool:
        try:
            return bool(await self._writer.write(lambda session: session.save(record)))
        except (StoreError, DeposedError):
            raise
        except Exception:
            logger.exception("durable job %s cannot be written down, and fails", record.job_id)
            self._give_up(kept)
            return False

    def _next_or_failed(self, kept: Kept, now: int, everything: bool) -> Record:
        try:
            return self._next(kept, now, everything)
        except Exception:
            logger.exception("durable job %s cannot be written down, and fails", kept.record.job_id)
            self._give_up(kept)
            return self._next(kept, now, everything)

    def _give_up(self, kept: Kept) -> None:
        if kept.record.job_id in self._runner:
            self._runner.stop(kept.record.job_id)
        kept.outcome = ComputationError("what was found cannot be written down")

    def over(self, record: Record) -> None:
        """A job is over, and that is committed."""
        self.num_finished += 1
        if (kept := self._kept.get(record.job_id)) is not None:
            self._on_over(kept, record)
        self.drop(record.job_id)

    def drop(self, job_id: str) -> None:
        """Have nothing to do with it any more; the caller's next one may take turns."""
        if job_id in self._runner:
            self._runner.stop(job_id)
        if (kept := self._kept.remove(job_id)) is not None:
            self._start_more([kept.record.caller])
        self._log.note(job_id)

    def stop(self) -> None:
        """Compute no further, and begin nothing."""
        self._is_stopped = True
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

    def _start_more(self, callers: Iterable[str]) -> None:
        """Let each caller's first jobs take turns."""
        for caller in callers if not self._is_stopped else ():
            for kept in self._kept.first(caller, self._settings.max_caller_running_jobs):
                if kept.outcome is None and kept.record.job_id not in self._runner:
                    self._start(kept)

    def _start(self, kept: Kept) -> None:
        record = kept.record
        if kept.task is None:
            return
        try:
            self._runner.start(record.job_id, record.number, record.caller, kept.task, kept.progress)
        except Exception:
            logger.exception(LEFT_ALONE, record.job_id, "it cannot be begun")
            kept.task = None

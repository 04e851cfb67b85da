"""Durable jobs that only this process remembers, for the routes' tests: a test says what becomes of each."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.compute.slices import compute
from app.durable.outcome import error_text, result_text
from app.durable.records import Changes, JobView, NewJob, Page, Record, State
from app.durable.service import Submitted
from app.durable.tasks import task_of
from app.errors import JobError, JobsUnavailableError, KeyReusedError, NoSuchJobError
from app.job import Job, JobResult, Segment, Timing
from app.kernel import offers_of
from app.settings import Settings
from app.status import DurableCounts

POLL_SECONDS = 0.01


def now() -> int:
    """Milliseconds since 1970."""
    return round(time.time() * 1000)


@dataclass
class MemoryJobs:
    """A ``DurableJobs`` without a disk, and without workers of its own."""

    settings: Settings = field(default_factory=Settings)
    epoch: int = 1
    unavailable: str | None = None
    """Why every call fails, while one does."""
    refuse: JobError | None = None
    """What submitting raises."""
    accepted: Callable[[str], object] = lambda _: None
    """What becomes of a job at once."""
    estimated_finish_at: int | None = None
    """Of every unfinished job."""
    records: dict[str, Record] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...], float]] = field(default_factory=list)
    """The calls of ``changes``."""
    _changed: dict[str, int] = field(default_factory=dict)
    _number: int = 0

    async def submit(self, new: NewJob) -> Submitted:
        """Accept it, or find it by its key."""
        self._check()
        for record in self.records.values():
            if new.key is not None and (record.caller, record.key) == (new.caller, new.key):
                if record.fingerprint != new.fingerprint:
                    raise KeyReusedError
                return Submitted(self._view(record), is_new=False)
        if self.refuse is not None:
            raise self.refuse
        created = now()
        timeout = new.timeout_seconds or self.settings.max_job_timeout_seconds
        self._number += 1
        record = Record(
            new.job_id, self._number, new.caller, new.key, new.fingerprint, new.kernel, new.request, new.num_workers,
            State.QUEUED, created, created + round(1000 * timeout), predicted_core_seconds=1.5,
        )  # fmt: skip
        task = task_of(record, offers_of(self.settings))
        self._put(replace(record, total_units=task.length * task.num_lines), revision=1)
        self.accepted(new.job_id)
        return Submitted(self._view(self.records[new.job_id]), is_new=True)

    async def get(self, job_id: str, caller: str) -> JobView:
        """The caller's job."""
        return self._view(self._own(job_id, caller))

    async def cancel(self, job_id: str, caller: str) -> JobView:
        """It is over."""
        if not self._own(job_id, caller).state.done:
            self.move(job_id, State.CANCELLED)
        return self._view(self.records[job_id])

    async def delete(self, job_id: str, caller: str) -> None:
        """It is gone."""
        self._own(job_id, caller)
        del self.records[job_id]
        self._number += 1
        self._changed[job_id] = self._number

    async def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> Page:
        """Newest first."""
        self._check()
        own = [
            replace(record, result=None, checkpoint=None)
            for record in sorted(self.records.values(), key=lambda record: -record.number)
            if record.caller == caller and (not states or record.state in states)
            if before is None or record.number < before
        ]
        next_number = own[limit - 1].number if len(own) > limit else None
        return Page(tuple(map(self._view, own[:limit])), next_number)

    async def changes(self, cursor: str, job_ids: Collection[str], wait_seconds: float) -> Changes:
        """Looks again and again."""
        self.asked.append((cursor, tuple(sorted(job_ids)), wait_seconds))
        until = asyncio.get_running_loop().time() + wait_seconds
        while True:
            self._check()
            epoch, _, since = cursor.partition(":")
            known = int(since) if epoch == str(self.epoch) else -1
            changed = [job_id for job_id in job_ids if self._changed.get(job_id, 0) > known]
            if changed or asyncio.get_running_loop().time() >= until:
                views = tuple(self._view(self.records[each]) for each in changed if each in self.records)
                gone = tuple(each for each in changed if each not in self.records)
                return Changes(f"{self.epoch}:{self._number}", views, gone)
            await asyncio.sleep(POLL_SECONDS)

    async def counts(self) -> DurableCounts:
        """By state."""
        states = [record.state for record in self.records.values()]
        queued, running = states.count(State.QUEUED), states.count(State.RUNNING)
        finished = len(states) - queued - running
        return DurableCounts(self.unavailable is None, self.unavailable, queued, running, finished)

    def move(self, job_id: str, state: State | None = None, **changes: Any) -> None:
        """Commit a change."""
        record = self.records[job_id]
        state = state or record.state
        if state is State.RUNNING:
            changes = {"started_at": record.started_at or now(), "checkpoint_at": now()} | changes
        if state.done:
            changes |= {"finished_at": now(), "expires_at": now() + 86_400_000}
        self._put(replace(record, state=state, **changes), revision=record.revision + 1)

    def start(self, job_id: str) -> None:
        """Its first part is being computed."""
        self.move(job_id, State.RUNNING)

    def progress(self, job_id: str, units_done: int) -> None:
        """So much is computed and written down."""
        self.move(job_id, State.RUNNING, units_done=units_done, core_seconds=units_done / 1000)

    def succeed(self, job_id: str) -> None:
        """Really compute a line of it, and keep the result."""
        record = self.records[job_id]
        task = task_of(record, offers_of(self.settings))
        slices = compute((Segment(task, 0, task.length),))
        try:
            while True:
                next(slices)
        except StopIteration as end:
            (segment,) = end.value
        timing = Timing(2.0, 0.5, 1.5, 2, 4, 1.5)
        result = JobResult(Job(job_id, task), [], segment.part, 4, 0, timing, [])
        self.move(
            job_id, State.SUCCEEDED, result=result_text(result), units_done=record.total_units,
            started_at=record.started_at or now(),
        )  # fmt: skip

    def fail(self, job_id: str, error: JobError) -> None:
        """It ends without a result."""
        self.move(job_id, State.FAILED, error=error_text(error))

    def restart(self) -> None:
        """A new keeper goes on with what there is."""
        self.epoch += 1
        for record in list(self.records.values()):
            if record.state is State.RUNNING:
                self.move(record.job_id, resumed=record.resumed + 1)

    def _put(self, record: Record, revision: int) -> None:
        self._number += 1
        self._changed[record.job_id] = self._number
        self.records[record.job_id] = replace(record, revision=revision)

    def _check(self) -> None:
        if self.unavailable is not None:
            raise JobsUnavailableError(self.unavailable)

    def _own(self, job_id: str, caller: str) -> Record:
        self._check()
        record = self.records.get(job_id)
        if record is None or record.caller != caller:
            raise NoSuchJobError
        return record

    def _view(self, record: Record) -> JobView:
        ahead = [
            other for other in self.records.values()
            if (other.caller, other.state) == (record.caller, State.QUEUED) and other.number < record.number
        ]  # fmt: skip
        estimate = None if record.state.done else self.estimated_finish_at
        return JobView(record, self.epoch, len(ahead) if record.state is State.QUEUED else None, estimate)

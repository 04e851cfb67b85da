"""The one owner of all durable jobs: accepts, computes and answers for them; what it says is on disk.

It never fails for want of a store: that is a state that it reports, and it tries again. Times in records are wall-clock
milliseconds; all durations are measured by a clock that never goes back.
"""

import asyncio
import contextvars
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeVar

from app.durable import transitions
from app.durable.admission import DurableAdmission
from app.durable.change_log import ChangeLog
from app.durable.custody import Custody
from app.durable.forecast import Forecast
from app.durable.housekeeping import Housekeeping
from app.durable.kept import Kept, KeptJobs
from app.durable.records import Changes, JobView, NewJob, Page, Record, State
from app.durable.runner import Runner
from app.durable.service import Submitted
from app.durable.shown import ended_job, refused_job, running_jobs
from app.durable.store import DeposedError, Session, Store, StoreError
from app.durable.writer import Writer
from app.errors import JobError, JobsUnavailableError, KeyReusedError, NoSuchJobError, RefusedError
from app.job import JobResult, RunBatch
from app.kernel import offers_of
from app.observer import Nobody, Observer, RunningBatch, RunningJob
from app.settings import Settings
from app.status import DurableCounts

IDLE_SECONDS = 5.0
"""How often it looks around while no job is unfinished."""
TRY_AGAIN_SECONDS = 0.5
"""How long after the store failed it is tried again."""
DEPOSED = "Another keeper has taken the durable jobs over."

logger = logging.getLogger("ray.serve")  # as in app.http.problems
T = TypeVar("T")


class Keeper:
    """``app.durable.service.DurableJobs``, over a store and the workers."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        run_batch: RunBatch,
        *,
        instance: str,
        num_ingresses: int = 1,
        take_over: bool = False,
        wall_clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        """``instance`` names the running service; ``take_over``: whether to take the store although another instance
        has just had it. ``num_ingresses``: dispatchers that share the workers, this one included. ``observer``: who
        looks on."""
        self._observer = observer or Nobody()
        self._settings = settings
        self._offers = offers_of(settings)
        self._instance = instance
        self._take_over = take_over
        self._wall_clock = wall_clock
        self._ttl = round(1000 * settings.result_ttl_seconds)
        self._writer = Writer(store, self._now)
        self._kept = KeptJobs()
        self._log = ChangeLog()
        self._runner = Runner(
            run_batch, settings, self._ended, num_ingresses=num_ingresses, observer=self._observer
        )  # fmt: skip
        self._forecast = Forecast(self._kept, self._runner)
        self._custody = Custody(
            self._writer, self._kept, self._runner,
            log=self._log, settings=settings, offers=self._offers, on_over=self._tell,
        )  # fmt: skip
        self._housekeeping = Housekeeping(self._writer, self._custody, wall_clock, settings.max_finished_jobs)
        self._admission = DurableAdmission(settings, self._offers, self._kept, self._runner, self._forecast)
        self._epoch = 0
        self._wake = asyncio.Event()
        self._reason: str | None = "The durable jobs are being read."
        """Why there are none to be had; None if there are."""
        self._failure: StoreError | None = None
        """What the store has failed with, until it is open again."""
        self._task: asyncio.Task[None] | None = None
        self.deposed = False
        """Whether another keeper has taken the store: this one will never do anything again."""

    def set_workers(self, worker_ids: Iterable[str]) -> None:
        """Say which workers there are now."""
        self._runner.set_workers(worker_ids)

    @property
    def running_batches(self) -> list[RunningBatch]:
        """What is on the workers."""
        return self._runner.running_batches

    @property
    def running_jobs(self) -> Iterable[RunningJob]:
        """The unfinished jobs, in order of acceptance."""
        return running_jobs(self._kept, self._runner, self._wall_ahead)

    async def start(self) -> None:
        """Begin; returns at once, whether or not there is a store."""
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def close(self) -> int:
        """Write down how far everything is, and let go of the store; returns how many jobs are not finished."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        was_available, self._reason = self._reason is None, self._reason or "The service is shutting down."
        try:
            if was_available:
                await self._custody.release(self._now())
        except (StoreError, DeposedError) as error:
            logger.warning("durable jobs: the last progress was not written: %s", error)
        self._custody.stop()
        await self._writer.close()
        return len(self._kept)

    # What callers ask: app.durable.service says what it means

    async def submit(self, new: NewJob) -> Submitted:
        self._check()
        if new.key is not None and (known := await self._with_key(new.caller, new.key)) is not None:
            return self._again(new, known)
        try:
            with self._admission.admitted(new, self._now()) as record:
                stored: Record = await self._stored(self._writer.write(lambda session: session.submit(record)))
        except RefusedError as refusal:
            self._observer.job_ended(refused_job(new, self._offers, refusal, time.perf_counter()))
            raise
        # Another request with the same key was faster; or it is the same one again, that Serve has sent twice.
        if stored.job_id != new.job_id or stored.state.done or self._kept.get(stored.job_id) is not None:
            return self._again(new, stored)
        was_idle = not len(self._kept)
        self._custody.adopt(stored)
        if was_idle:
            self._wake.set()
        return Submitted(self._view(stored), is_new=True)

    async def get(self, job_id: str, caller: str) -> JobView:
        return self._view(await self._record(job_id, caller))

    async def cancel(self, job_id: str, caller: str) -> JobView:
        record = await self._record(job_id, caller)
        if not record.state.done:
            now, ttl = self._now(), self._ttl
            # From what is stored by then: its progress may have been written since.
            stored = await self._stored(self._writer.write(lambda session: cancelled(session, job_id, now, ttl)))
            if stored is None:
                raise NoSuchJobError
            if self._kept.get(job_id) is not None:
                self._custody.over(stored)
            record = stored
        return self._view(record)

    async def delete(self, job_id: str, caller: str) -> None:
        record = await self._record(job_id, caller)
        was_there = await self._stored(self._writer.write(lambda session: session.delete(job_id)))
        self._custody.num_finished -= bool(was_there and self._kept.get(job_id) is None)
        kept = self._kept.get(job_id)
        self._custody.drop(job_id)
        if kept is not None and not record.state.done:
            self._tell(kept, transitions.cancelled(kept.record, self._now(), self._ttl))

    async def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> Page:
        self._check()
        found: list[Record] = await self._stored(
            self._writer.read(lambda session: session.page(caller, states, before, limit + 1))
        )
        views = tuple(self._view(record) for record in found[:limit])
        return Page(views, found[limit - 1].number if len(found) > limit else None)

    async def changes(self, cursor: str, job_ids: Collection[str], wait_seconds: float) -> Changes:
        self._check()
        changed = await self._log.wait(cursor, job_ids, wait_seconds)
        self._check()
        position = self._log.cursor  # before the records are read, so that no change is missed
        records = {job_id: await self._known(job_id) for job_id in changed}
        views = tuple(self._view(record) for record in records.values() if record is not None)
        return Changes(position, views, tuple(job_id for job_id, record in records.items() if record is None))

    async def counts(self) -> DurableCounts:
        states = Counter(kept.record.state for kept in self._kept)
        return DurableCounts(
            available=self._reason is None,
            reason=self._reason,
            queued=states[State.QUEUED],
            running=states[State.RUNNING],
            finished=self._custody.num_finished,
        )

    # Reading

    async def _with_key(self, caller: str, key: str) -> Record | None:
        if (kept := self._kept.by_key(caller, key)) is not None:
            return kept.record
        found: Record | None = await self._stored(self._writer.read(lambda session: session.by_key(caller, key)))
        return found

    def _again(self, new: NewJob, known: Record) -> Submitted:
        if new.fingerprint != known.fingerprint:
            raise KeyReusedError
        return Submitted(self._view(known), is_new=False)

    async def _record(self, job_id: str, caller: str) -> Record:
        self._check()
        record = await self._known(job_id)
        if record is None or record.caller != caller:
            raise NoSuchJobError
        return record

    async def _known(self, job_id: str) -> Record | None:
        if (kept := self._kept.get(job_id)) is not None:
            return kept.record
        found: Record | None = await self._stored(self._writer.read(lambda session: session.get(job_id)))
        return found

    def _view(self, record: Record) -> JobView:
        if record.state.done:
            return JobView(record, self._epoch)
        position = None
        if record.state is State.QUEUED:
            position = sum(kept.record.number < record.number for kept in self._kept.of(record.caller))
        return JobView(record, self._epoch, position, self._forecast.finish_at(record.job_id))

    # What happens by itself

    async def _run(self) -> None:
        """Take the store, then look after the jobs until the end."""
        while True:
            try:
                await self._open()
                while True:
                    await self._sleep()
                    await self._tend()
            except StoreError as error:
                if self._reason != str(error):
                    logger.error("durable jobs: %s", error)  # noqa: TRY400 (the message says it all)
                self._reason = str(error)
                await asyncio.sleep(TRY_AGAIN_SECONDS)
            except DeposedError:
                self._depose(DEPOSED)
                return
            except Exception:
                logger.exception("the keeper of durable jobs failed")
                self._depose("The keeper of durable jobs failed, and is being replaced.")
                return

    async def _open(self) -> None:
        """Own the store, and know all that is unfinished in it."""
        if self._epoch:
            await self._writer.reopen()
            await self._custody.reconcile()
        else:
            taken = await self._writer.take(self._instance, force=self._take_over)
            self._custody.num_finished = taken.num_finished
            await self._custody.go_on(taken.unfinished, self._now())
            self._epoch = taken.epoch
            self._log.begin(str(taken.epoch))
        self._reason = self._failure = None
        logger.warning("durable jobs: %d unfinished, %d finished", len(self._kept), self._custody.num_finished)

    async def _sleep(self) -> None:
        """Until something is over or the store has failed, or as long as progress need not be written."""
        idle_seconds = min(IDLE_SECONDS, self._housekeeping.due_seconds)
        seconds = self._settings.checkpoint_seconds if len(self._kept) else idle_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        if self._failure is not None:
            raise self._failure

    async def _tend(self) -> None:
        now = self._now()
        self._housekeeping.watch_clock()
        self._custody.expire(now)
        await self._custody.commit(now)
        await self._writer.read(lambda _: None)  # a deposed keeper finds out, even if it has nothing to write
        self._forecast.look(time.monotonic(), now)
        await self._housekeeping.purge(now)

    def _tell(self, kept: Kept, record: Record) -> None:
        try:
            if (ended := ended_job(kept, record, self._wall_ahead)) is not None:
                self._observer.job_ended(ended)
        except Exception:  # whoever looks on is no harm to the job
            logger.exception("the end of durable job %s is not told", record.job_id)

    @property
    def _wall_ahead(self) -> float:
        """Of the wall clock before the one that dispatching goes by."""
        return self._wall_clock() - time.perf_counter()

    def _ended(self, job_id: str, outcome: JobResult | JobError) -> None:
        self._custody.ended(job_id, outcome)
        self._wake.set()

    # The store

    def _check(self) -> None:
        if self._reason is not None:
            raise JobsUnavailableError(self._reason)

    async def _stored(self, call: Awaitable[T]) -> T:
        """What the store says. If it fails, the caller is told so, and it is opened again."""
        try:
            return await call
        except StoreError as error:
            self._failure = error
            self._wake.set()
            raise JobsUnavailableError(str(error)) from None
        except DeposedError:
            self._depose(DEPOSED)
            raise JobsUnavailableError(DEPOSED) from None

    def _depose(self, reason: str) -> None:
        self.deposed = True
        self._reason = reason
        self._custody.stop()

    def _now(self) -> int:
        return round(1000 * self._wall_clock())


def cancelled(session: Session, job_id: str, now: int, ttl: int) -> Record | None:
    """The job, cancelled, or as it was if it was over; None if it is gone."""
    record = session.get(job_id)
    if record is not None and not record.state.done:
        record = transitions.cancelled(record, now, ttl)
        session.save(record)
    return record

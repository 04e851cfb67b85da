"""Runs jobs: admission, deadlines, cancelling and results, over the scheduler that keeps the workers busy.

Every rule holds for one dispatcher; several ingress replicas have one each, and workers take turns among their batches.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable

from app.dispatch.scheduler import Scheduler
from app.errors import DeadlineError, DrainingError, JobError
from app.job import Job, JobResult, RunBatch
from app.observer import EndedJob, JobOutcome, Nobody, Observer, RunningBatch, RunningJob
from app.queue.admission import Admission
from app.queue.cost import CostModel
from app.queue.live_job import LiveJob
from app.queue.remainder import Remainder
from app.settings import Settings


class Dispatcher:
    """Runs jobs on the workers named by ``set_workers``; call it from one event loop only."""

    def __init__(
        self,
        run_batch: RunBatch,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.perf_counter,
        cost: CostModel | None = None,
        *,
        num_ingresses: int = 1,
        observer: Observer | None = None,
    ) -> None:
        """``num_ingresses``: dispatchers that share the workers, this one included. ``observer``: who looks on."""
        self._observer = observer or Nobody()
        self._settings = settings or Settings()
        self._clock = clock
        self._numbers = itertools.count()
        self._admission = Admission(self._settings)
        self.cost = cost or CostModel()
        self.leaving = False
        """Whether load balancers should send no more requests; jobs are still accepted."""
        self.draining = False
        self._idle_since = clock()
        self._scheduler = Scheduler(
            run_batch, self._settings, clock, self.cost,
            ledger=self._admission, num_ingresses=num_ingresses, observer=self._observer,
        )  # fmt: skip

    @property
    def num_workers(self) -> int:
        """Workers in the pool."""
        return self._scheduler.num_workers

    @property
    def num_queued_jobs(self) -> int:
        """Jobs of which a part has not been given to any worker."""
        return self._scheduler.num_waiting

    @property
    def num_unfinished_jobs(self) -> int:
        """Jobs admitted and not yet answered."""
        return len(self._admission)

    @property
    def drain_seconds(self) -> float:
        """Predicted seconds until everything admitted is computed, by the workers there are."""
        return self._admission.seconds / max(1, self.num_workers)

    @property
    def running_batches(self) -> list[RunningBatch]:
        """What is on the workers."""
        return self._scheduler.running

    @property
    def running_jobs(self) -> list[RunningJob]:
        """The unfinished jobs."""
        return [live_job.running for live_job in self._admission]

    def set_workers(self, worker_ids: Iterable[str]) -> None:
        """Say which workers there are now; a new one is used at once."""
        self._scheduler.set_workers(worker_ids)

    async def run(self, *jobs: Job, timeout_seconds: float | None = None) -> list[JobResult]:
        """Run the jobs one after another, under one admission and one deadline.

        Cancelling it takes the jobs out of the queue and stops their batches on the workers.

        Raises a ``RefusedError`` before anything is computed; later
        ``NoWorkerError``, ``DeadlineError`` or ``ComputationError``.
        """
        timeout_seconds = timeout_seconds or self._settings.max_timeout_seconds
        try:
            admitted = self._admit(jobs)
        except JobError as error:
            now = self._clock()
            for job in jobs:
                self._observer.job_ended(EndedJob(job, JobOutcome.REFUSED, error, now, now, 0.0, None))
            raise
        results = []
        failure: BaseException | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                for live_job in admitted:
                    live_job.accept(self._clock())
                    self._scheduler.start(live_job)
                    results.append(await live_job.finished)
        except TimeoutError:
            failure = DeadlineError(timeout_seconds)
            raise failure from None
        except BaseException as error:
            failure = error
            raise
        finally:
            for live_job in admitted:
                self._forget(live_job)
            for live_job in admitted:
                self._observer.job_ended(live_job.ended(failure, self._clock()))
            failure = None  # it holds on to this frame, by its traceback
        return results

    def _admit(self, jobs: Iterable[Job]) -> list[LiveJob]:
        if self.draining:
            raise DrainingError
        self._scheduler.check_workers()
        now = self._clock()
        if not self._admission:
            self.cost.was_idle(now - self._idle_since)
            self._idle_since = now
        admitted = [LiveJob(next(self._numbers), job, Remainder(job, self.cost), now) for job in jobs]
        self._admission.admit(admitted, self._scheduler.usual_num_workers)
        return admitted

    def _forget(self, live_job: LiveJob) -> None:
        self._admission.remove(live_job)
        if not live_job.succeeded:
            live_job.finished.cancel()
        self._scheduler.end(live_job)
        self._idle_since = self._clock()

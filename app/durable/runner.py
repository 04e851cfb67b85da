"""Computes the durable jobs whose turn it is: a scheduler over the same workers, behind everybody who waits."""

import asyncio
import contextvars
import math
import time
from collections.abc import Callable, Iterable, Iterator

from app.dispatch.scheduler import Scheduler
from app.errors import JobError
from app.job import Job, JobResult, RunBatch
from app.kernel import Task
from app.observer import Nobody, Observer, RunningBatch
from app.queue.cost import CostModel
from app.queue.live_job import LiveJob
from app.queue.progress import Progress
from app.queue.remainder import Remainder
from app.settings import Settings


class Runner:
    """The durable jobs that take turns; call it from one event loop only."""

    def __init__(
        self,
        run_batch: RunBatch,
        settings: Settings,
        on_end: Callable[[str, JobResult | JobError], object],
        clock: Callable[[], float] = time.perf_counter,
        num_ingresses: int = 1,
        *,
        observer: Observer | None = None,
    ) -> None:
        """``on_end`` is called with a job's id and what became of it. ``num_ingresses``: dispatchers that share the
        workers, this one included."""
        self.cost = CostModel()
        self.compute_seconds = 0.0
        """Seconds of computing that have come back, of all jobs that there ever were."""
        self._counted: dict[str, float] = {}
        """How much of it is each present job's, with what it had before."""
        self._clock = clock
        self._on_end = on_end
        self._jobs: dict[str, LiveJob] = {}
        # They wait for workers until their deadline: an outage of half a minute must not fail them all.
        patient = settings.model_copy(update={"worker_wait_seconds": math.inf})
        self._scheduler = Scheduler(
            run_batch, patient, clock, self.cost,
            ledger=self, num_ingresses=num_ingresses, observer=observer or Nobody(), background=True,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[LiveJob]:
        return iter(self._jobs.values())

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def get(self, job_id: str) -> LiveJob | None:
        """The job, if it takes turns."""
        return self._jobs.get(job_id)

    def __getitem__(self, job_id: str) -> LiveJob:
        return self._jobs[job_id]

    @property
    def running_batches(self) -> list[RunningBatch]:
        """What is on the workers."""
        return self._scheduler.running

    def set_workers(self, worker_ids: Iterable[str]) -> None:
        """Say which workers there are now."""
        self._scheduler.set_workers(worker_ids)

    def settle(self, job: LiveJob) -> None:
        """Predict again what is left of the job."""
        job.unfinished_seconds = job.remainder.seconds + job.out_seconds
        job_id = job.job.job_id
        self.compute_seconds += job.compute_seconds - self._counted.get(job_id, job.compute_seconds)
        self._counted[job_id] = job.compute_seconds

    def core_seconds(self, task: Task) -> float:
        """What the whole of it is predicted to cost."""
        return Remainder(Job("", task), self.cost).core_seconds

    def start(self, job_id: str, number: int, caller: str, task: Task, progress: Progress | None) -> None:
        """Compute what is missing of it."""
        job = Job(job_id, task, caller=caller)
        live = LiveJob(number, job, Remainder(job, self.cost, progress), self._clock(), progress)
        self._jobs[job_id] = live
        self._counted[job_id] = live.compute_seconds
        live.accept(self._clock())
        live.finished.add_done_callback(lambda _: self._ended(live), context=contextvars.Context())
        if live.alive:
            self._scheduler.start(live)

    def stop(self, job_id: str) -> None:
        """Compute it no further; nothing is said about it."""
        live = self._jobs.pop(job_id)
        self._counted.pop(job_id, None)
        live.finished.cancel()
        self._scheduler.end(live)

    def _ended(self, live: LiveJob) -> None:
        if self._jobs.get(live.job.job_id) is not live:
            return  # it was stopped
        del self._jobs[live.job.job_id]
        self._counted.pop(live.job.job_id, None)
        self._scheduler.end(live)
        finished: asyncio.Future[JobResult] = live.finished
        error = finished.exception()
        if error is not None and not isinstance(error, JobError):
            error = JobError(str(error))
        self._on_end(live.job.job_id, finished.result() if error is None else error)

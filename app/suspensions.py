"""Workers that get no new batches until it is known that they live: they lost one, or are late with one."""

import asyncio
import contextvars
from collections.abc import Callable

from app.job import Batch, BatchResult, RunBatch
from app.pool import Pool, Worker

SUSPENSION_SECONDS = 5.0
"""How long a worker that lost a batch gets no other, unless Serve says before that it is gone."""


class Suspensions:
    """Suspends workers of a pool, and lets them in again."""

    def __init__(self, pool: Pool, run_batch: RunBatch, on_end: Callable[[], None]) -> None:
        """``on_end`` is called when a worker takes batches again."""
        self._pool = pool
        self._run_batch = run_batch
        self._on_end = on_end
        self._timers: dict[Worker, asyncio.TimerHandle] = {}
        self._probes: set[asyncio.Task[BatchResult]] = set()

    def suspend(self, worker: Worker, *, lost: bool) -> None:
        """``lost``: it lost a batch, and may be gone. Else it is late with one, and is asked whether it lives."""
        if not lost and not worker.suspended:
            self._probe(worker)
        self._pool.suspend(worker, lost=lost)
        self._end_later(worker)

    def end(self, worker: Worker) -> None:
        """It lives. Nothing happens if it is not suspended."""
        if (timer := self._timers.pop(worker, None)) is not None:
            timer.cancel()
            self._pool.resume(worker)
            self._on_end()

    def _end_later(self, worker: Worker) -> None:
        if (timer := self._timers.get(worker)) is not None:
            timer.cancel()
        self._timers[worker] = asyncio.get_running_loop().call_later(
            SUSPENSION_SECONDS, self._end_if_empty, worker, context=contextvars.Context()
        )

    def _end_if_empty(self, worker: Worker) -> None:
        if worker.in_flight:  # what is there will tell that it lives, or that it does not
            self._end_later(worker)
        else:
            self.end(worker)

    def _probe(self, worker: Worker) -> None:
        """Send an empty batch: if it comes back, the worker is only slow."""

        def came_back(task: asyncio.Task[BatchResult]) -> None:
            self._probes.discard(task)
            if not task.cancelled() and task.exception() is None and not worker.lost:
                self.end(worker)

        probe = asyncio.get_running_loop().create_task(
            self._run_batch(worker.worker_id, Batch(())), context=contextvars.Context()
        )
        self._probes.add(probe)
        probe.add_done_callback(came_back, context=contextvars.Context())

"""The workers as the dispatcher sees them: who is there and how much each has in flight."""

from collections.abc import Iterable

MAX_IN_FLIGHT = 2
"""Batches a worker may hold: one computing, one waiting, so that it never waits for the next."""
MAX_IN_FLIGHT_EXPRESS = 3
"""The same for batches shorter than a slice: they need not wait for a long one to end."""
RESERVE_SECONDS = 1.0
"""A worker is kept free for a batch that wants it alone if what it has is predicted to take no longer than this."""


class Worker:
    """One worker's load."""

    __slots__ = ("in_flight", "predicted_seconds", "reserved", "suspended", "worker_id")

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self.in_flight = 0
        self.predicted_seconds = 0.0
        self.reserved = False
        """Kept for one batch alone, until nothing is in flight."""
        self.suspended = False
        """Just lost a batch: takes nothing until it is known to be alive."""

    @property
    def takes_batches(self) -> bool:
        """Whether new batches may go to it, room permitting."""
        return not (self.reserved or self.suspended)


class Pool:
    """Finds the worker with room; every operation on the hot path is O(1)."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        # Workers by batches in flight; within a load, the one that came to it first is taken first.
        self._by_load: tuple[dict[str, Worker], ...] = tuple({} for _ in range(MAX_IN_FLIGHT_EXPRESS))
        self._awaited: Worker | None = None
        """The worker that drains for the next batch that wants one alone."""

    def __len__(self) -> int:
        return len(self._workers)

    def set_members(self, worker_ids: Iterable[str]) -> None:
        """Take in who is new and forget who is gone; of equally loaded newcomers the first named is taken first."""
        wanted = dict.fromkeys(worker_ids)
        for worker_id in self._workers.keys() - wanted.keys():
            gone = self._workers.pop(worker_id)
            self._unlist(gone)
            self._stop_awaiting(gone)
        for worker_id in wanted:
            if worker_id not in self._workers:
                self._workers[worker_id] = Worker(worker_id)
                self._list(self._workers[worker_id])

    @property
    def any_usable(self) -> bool:
        """Whether at least one worker is there and not suspended."""
        return any(not worker.suspended for worker in self._workers.values())

    def with_room(self, max_in_flight: int) -> Worker | None:
        """A least loaded worker with fewer than this many batches in flight; None if all are full."""
        for workers in self._by_load[:max_in_flight]:
            for worker in workers.values():
                return worker
        return None

    def for_retry(self, shunned_worker_id: str | None) -> Worker | None:
        """A worker to try a lost batch on again, alone if that can be had soon; None means wait.

        Alone, because a batch that kills its worker would otherwise use up the attempts of its neighbours.
        Another than the one that lost it, unless that is the only one.
        """
        alive = [w for w in self._workers.values() if not w.suspended]
        others = [w for w in alive if w.worker_id != shunned_worker_id]
        candidates = [w for w in others or alive if not w.reserved]
        if not candidates:
            return None
        best = min(candidates, key=lambda worker: (worker.in_flight > 0, worker.predicted_seconds))
        if best.in_flight and self._awaited is not None:
            return None
        if best.predicted_seconds > RESERVE_SECONDS:
            return best if best.in_flight < MAX_IN_FLIGHT_EXPRESS else None
        self._unlist(best)
        best.reserved = True  # until `release` finds nothing left in flight
        if best.in_flight:
            self._awaited = best
            return None
        return best

    def occupy(self, worker: Worker, seconds: float) -> None:
        """Count one more batch of predicted ``seconds`` on ``worker``."""
        self._unlist(worker)
        worker.in_flight += 1
        worker.predicted_seconds += seconds
        self._list(worker)

    def release(self, worker: Worker, seconds: float) -> None:
        """Count one batch less; a reserved worker with nothing left in flight is free again."""
        self._unlist(worker)
        worker.in_flight -= 1
        worker.predicted_seconds -= seconds
        if worker.in_flight == 0:
            worker.predicted_seconds = 0.0
            worker.reserved = False
            self._stop_awaiting(worker)
        self._list(worker)

    def suspend(self, worker: Worker) -> None:
        """Give ``worker`` nothing until ``resume``, or until it leaves."""
        self._unlist(worker)
        worker.suspended = True
        self._stop_awaiting(worker)  # it may never drain

    def resume(self, worker: Worker) -> None:
        """Let ``worker`` take batches again."""
        worker.suspended = False
        self._list(worker)

    def _stop_awaiting(self, worker: Worker) -> None:
        if self._awaited is worker:
            self._awaited = None

    def _list(self, worker: Worker) -> None:
        present = self._workers.get(worker.worker_id) is worker
        if present and worker.takes_batches and worker.in_flight < MAX_IN_FLIGHT_EXPRESS:
            self._by_load[worker.in_flight][worker.worker_id] = worker

    def _unlist(self, worker: Worker) -> None:
        for workers in self._by_load:
            if workers.get(worker.worker_id) is worker:
                del workers[worker.worker_id]

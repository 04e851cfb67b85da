"""The workers as the dispatcher sees them: who is there and how much each has in flight."""

from collections.abc import Collection, Iterable

MAX_IN_FLIGHT = 2
"""Batches a worker may hold: one computing, one waiting, so that it never waits for the next."""
MAX_IN_FLIGHT_EXPRESS = 3
"""The same for batches shorter than a slice: they need not wait for a long one to end."""
MAX_LONG_IN_FLIGHT = 2
"""Long batches that it may hold beside these: it takes turns among all that it has, so they hold up no others."""
RESERVE_SECONDS = 1.0
"""A worker is kept free for a batch that wants it alone if what it has is predicted to take no longer than this."""


class Worker:
    """One worker's load."""

    __slots__ = (
        "in_flight",
        "long_in_flight",
        "lost",
        "predicted_seconds",
        "reservation",
        "reserved",
        "suspended",
        "worker_id",
    )

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self.in_flight = 0
        """Batches, the long ones included."""
        self.long_in_flight = 0
        self.predicted_seconds = 0.0
        self.reserved = False
        """Kept for one batch alone, for a while or until nothing is in flight."""
        self.reservation = 0
        """Which one it is, to tell it from a later one."""
        self.suspended = False
        """Just lost a batch, or is late with one: takes nothing until it is known to be alive."""
        self.lost = False
        """It is suspended because it lost one: it may be gone."""

    @property
    def places_taken(self) -> int:
        """Of those for batches that are not long."""
        return self.in_flight - self.long_in_flight

    def has_room(self, max_in_flight: int, *, long: bool) -> bool:
        """Whether it may have one more: a long batch, or one beside fewer than ``max_in_flight`` that are not."""
        return self.long_in_flight < MAX_LONG_IN_FLIGHT if long else self.places_taken < max_in_flight

    @property
    def takes_batches(self) -> bool:
        """Whether new batches may go to it, room permitting."""
        return not (self.reserved or self.suspended)


class Pool:
    """Finds the worker with room; every operation on the hot path is O(1)."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        # Workers by what they have in flight, long and other batches; of equals, who came to it first is taken first.
        self._by_load: dict[tuple[int, int], dict[str, Worker]] = {
            (long, others): {} for long in range(MAX_LONG_IN_FLIGHT + 1) for others in range(MAX_IN_FLIGHT_EXPRESS + 1)
        }
        self._least_loaded_first = sorted(self._by_load, key=lambda load: (sum(load), load))
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
        """Whether at least one worker is there and has not just lost a batch."""
        return any(not worker.lost for worker in self._workers.values())

    @property
    def any_idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return bool(self._by_load[0, 0])

    def with_room(self, max_in_flight: int, *, long: bool = False) -> Worker | None:
        """A least loaded worker that ``has_room``; None if all are full."""
        for load in self._least_loaded_first:
            for worker in self._by_load[load].values():
                if worker.has_room(max_in_flight, long=long):
                    return worker
                break  # so it is with all of that load
        return None

    def for_retry(
        self, shunned_worker_id: str | None, has_it: Collection[str] = (), *, long: bool = False
    ) -> Worker | None:
        """A worker to try a lost batch on again, alone if that can be had soon; None means wait.

        Alone, because a batch that kills its worker would otherwise use up the attempts of its neighbours.
        Another than the one that lost it, unless that is the only one; never one of ``has_it``, which still have it.
        """
        alive = [w for w in self._workers.values() if not w.suspended and w.worker_id not in has_it]
        others = [w for w in alive if w.worker_id != shunned_worker_id]
        candidates = [w for w in others or alive if not w.reserved]
        if not candidates:
            return None
        best = min(candidates, key=lambda worker: (worker.in_flight > 0, worker.predicted_seconds))
        if best.in_flight and self._awaited is not None:
            return None
        if best.predicted_seconds > RESERVE_SECONDS:
            return best if best.has_room(MAX_IN_FLIGHT_EXPRESS, long=long) else None
        self._unlist(best)
        best.reservation += 1
        best.reserved = True  # until `share`, or until `release` finds nothing left in flight
        if best.in_flight:
            self._awaited = best
            return None
        return best

    def occupy(self, worker: Worker, seconds: float, *, long: bool = False) -> None:
        """Count one more batch of predicted ``seconds`` on ``worker``."""
        self._unlist(worker)
        worker.in_flight += 1
        worker.long_in_flight += long
        worker.predicted_seconds += seconds
        self._list(worker)

    def share(self, worker: Worker) -> None:
        """What ``worker`` was reserved for has run alone for long enough: let others in."""
        if worker is not self._awaited:
            worker.reserved = False
            self._list(worker)

    def release(self, worker: Worker, seconds: float, *, long: bool = False) -> None:
        """Count one batch less; a reserved worker with nothing left in flight is free again."""
        self._unlist(worker)
        worker.in_flight -= 1
        worker.long_in_flight -= long
        worker.predicted_seconds -= seconds
        if worker.in_flight == 0:
            worker.predicted_seconds = 0.0
            worker.reserved = False
            self._stop_awaiting(worker)
        self._list(worker)

    def suspend(self, worker: Worker, *, lost: bool) -> None:
        """Give ``worker`` nothing until ``resume``, or until it leaves. ``lost``: it may be gone."""
        self._unlist(worker)
        worker.suspended = True
        worker.lost = worker.lost or lost
        self._stop_awaiting(worker)  # it may never drain

    def resume(self, worker: Worker) -> None:
        """Let ``worker`` take batches again."""
        worker.suspended = worker.lost = False
        self._list(worker)

    def _stop_awaiting(self, worker: Worker) -> None:
        if self._awaited is worker:
            self._awaited = None

    def _list(self, worker: Worker) -> None:
        present = self._workers.get(worker.worker_id) is worker
        if present and worker.takes_batches:
            self._with_load_of(worker)[worker.worker_id] = worker

    def _unlist(self, worker: Worker) -> None:
        workers = self._with_load_of(worker)
        if workers.get(worker.worker_id) is worker:
            del workers[worker.worker_id]

    def _with_load_of(self, worker: Worker) -> dict[str, Worker]:
        """A retry may have come on top of what a worker has room for: it is full all the same."""
        long = min(worker.long_in_flight, MAX_LONG_IN_FLIGHT)
        return self._by_load[long, min(worker.places_taken, MAX_IN_FLIGHT_EXPRESS)]

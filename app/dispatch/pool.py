"""The workers as the dispatcher sees them: which there are, which are known to be alive, and how much each has.

Why does a worker get nothing? Here are all the reasons (``Pool.with_room`` and ``Pool.trusts``):

* all its places in the lane are taken (``app.queue.lanes``);
* it is not trusted: somewhere in the pool a batch was late or lost, and nothing has come back from this worker since.
  It is asked, by one empty batch, when there is something for it; anything that comes back makes it trusted;
* it has a guest: a piece that is sent again and has the worker to itself, or will once the worker is empty.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from app.job import BatchResult
from app.queue.lanes import IDLE, LOADS, Lane, Load, has_room
from app.queue.live_job import Piece


class Worker:
    """One worker."""

    __slots__ = ("guest", "predicted_seconds", "taken", "worker_id")

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self.taken: Load = IDLE
        self.predicted_seconds = 0.0
        """Of all its batches."""
        self.guest: Piece | None = None
        """The piece that has the worker to itself, or will."""

    @property
    def in_flight(self) -> int:
        """The number of its batches."""
        return sum(self.taken)

    def has_room(self, lane: Lane) -> bool:
        """Whether a place in ``lane`` is left."""
        return has_room(self.taken, lane)


class Question:
    """The empty batch that asks a worker whether it is alive."""

    __slots__ = ("asked_at", "first_asked_at", "probe")

    def __init__(self, probe: asyncio.Task[BatchResult], asked_at: float, first_asked_at: float) -> None:
        self.probe = probe
        self.asked_at = asked_at
        self.first_asked_at = first_asked_at


class Pool:
    """Finds a worker with room; every operation on the hot path is O(1)."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._trusted: set[Worker] = set()
        """Those from which something has come back since the last alarm, and those that joined since."""
        self._questions: dict[Worker, Question] = {}
        # Those that may have more, by load; within a load level, first come, first served.
        self._listed: dict[Load, dict[str, Worker]] = {load: {} for load in LOADS}
        self._with_room = {
            lane: [self._listed[load] for load in sorted(LOADS, key=partial(_order, lane)) if has_room(load, lane)]
            for lane in Lane
        }

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def __contains__(self, worker: Worker) -> bool:
        return self._workers.get(worker.worker_id) is worker

    def set_members(self, worker_ids: Iterable[str]) -> None:
        """Add new workers and forget those that are gone; of equally loaded newcomers the first named is used first."""
        wanted = dict.fromkeys(worker_ids)
        for worker_id in self._workers.keys() - wanted.keys():
            gone = self._workers.pop(worker_id)
            self._unlist(gone)
            self._trusted.discard(gone)
            self._questions.pop(gone, None)
        for worker_id in wanted:
            if worker_id not in self._workers:
                self._workers[worker_id] = Worker(worker_id)
                self.heard(self._workers[worker_id])

    # Places

    @property
    def idle(self) -> Mapping[str, Worker]:
        """The workers that have nothing to do and may be given something, by id."""
        return self._listed[IDLE]

    def with_room(self, lane: Lane) -> Worker | None:
        """A least loaded worker with a place in ``lane``, but neither guest nor question; None if there is none."""
        for workers in self._with_room[lane]:
            if workers:
                return next(iter(workers.values()))
        return None

    def occupy(self, worker: Worker, seconds: float, lane: Lane) -> None:
        """Count one more batch of predicted ``seconds`` on ``worker``."""
        self._count(worker, lane, 1, seconds)

    def release(self, worker: Worker, seconds: float, lane: Lane) -> None:
        """Count one batch less."""
        self._count(worker, lane, -1, -seconds)

    def _count(self, worker: Worker, lane: Lane, batches: int, seconds: float) -> None:
        self._unlist(worker)
        express, full, long = worker.taken
        worker.taken = (
            express + batches * (lane is Lane.EXPRESS),
            full + batches * (lane is Lane.FULL),
            long + batches * (lane is Lane.LONG),
        )
        worker.predicted_seconds = worker.predicted_seconds + seconds if worker.in_flight else 0.0
        self._list(worker)

    # Trust

    @property
    def any_trusted(self) -> bool:
        """Whether at least one worker is known to be alive."""
        return bool(self._trusted)

    @property
    def questions(self) -> Mapping[Worker, Question]:
        """The workers that were asked whether they are alive and have not answered."""
        return self._questions

    def trusts(self, worker: Worker) -> bool:
        """Whether anything has come from ``worker`` since the last alarm."""
        return worker in self._trusted

    def alarm(self) -> None:
        """A batch was late or lost. The cause may have hit others too: trust no worker until it is heard again."""
        self._trusted = set()

    def heard(self, worker: Worker) -> None:
        """Something came back from ``worker``: it is alive."""
        if worker in self:
            self._trusted.add(worker)
            self._questions.pop(worker, None)
            self._list(worker)

    def ask(self, worker: Worker, probe: asyncio.Task[BatchResult], now: float) -> None:
        """An empty batch is on its way to ``worker``, which gets nothing else until it is heard."""
        before = self._questions.get(worker)
        self._questions[worker] = Question(probe, now, before.first_asked_at if before else now)
        self._unlist(worker)

    # Guests

    def invite(self, worker: Worker, guest: Piece) -> None:
        """Keep ``worker`` for ``guest`` alone."""
        worker.guest = guest
        self._unlist(worker)

    def share(self, worker: Worker) -> None:
        """Let others in beside a former guest, or instead of one that does not come."""
        worker.guest = None
        self._list(worker)

    def _list(self, worker: Worker) -> None:
        if worker in self and worker.guest is None and worker not in self._questions:
            self._listed[worker.taken][worker.worker_id] = worker

    def _unlist(self, worker: Worker) -> None:
        workers = self._listed[worker.taken]
        if workers.get(worker.worker_id) is worker:
            del workers[worker.worker_id]


def _order(lane: Lane, load: Load) -> tuple[int, ...]:
    """Least loaded first; for an express batch, a worker that has none before one that has."""
    express, _full, long = load
    return express * (lane is Lane.EXPRESS), sum(load), long

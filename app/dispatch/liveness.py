"""Which workers are alive: asks those in doubt, and knows for how long none has given a sign of life."""

import asyncio
import contextvars
import itertools
from collections.abc import Callable

from app.dispatch.pool import Pool, Worker
from app.errors import WorkerLostError
from app.job import Batch, BatchResult
from app.queue.lanes import Lane

ASK_AT_ONCE = 8
"""Workers asked for one waiting job or piece, until they answer or the next tick."""
ASK_AGAIN_SECONDS = 1.0
"""How long after a lost question a worker is asked again."""

Call = Callable[[Worker, Batch], asyncio.Task[BatchResult]]


class Liveness:
    """A worker is asked by an empty batch: if anything comes back, it is alive."""

    def __init__(
        self,
        pool: Pool,
        call: Call,
        clock: Callable[[], float],
        *,
        max_outage_seconds: float,
        on_question: Callable[[], object],
        on_answer: Callable[[], object],
    ) -> None:
        self._pool = pool
        self._call = call
        self._clock = clock
        self._on_question = on_question
        self._on_answer = on_answer
        self._max_outage_seconds = max_outage_seconds
        self._none_since: float | None = clock()
        """None while at least one is known to be alive."""

    def worker_for(self, lane: Lane) -> Worker | None:
        """A worker with room that is known to be alive; those found before it are asked."""
        for _ in range(ASK_AT_ONCE):
            worker = self._pool.with_room(lane)
            if worker is None or self._pool.trusts(worker):
                return worker
            self.ask(worker)
        return None

    def ask(self, worker: Worker) -> None:
        """Ask whether it is alive; it gets nothing until it is heard."""
        probe = self._call(worker, Batch(()))
        self._pool.ask(worker, probe, self._clock())
        self._on_question()
        probe.add_done_callback(lambda _: self._answered(worker, probe), context=contextvars.Context())

    def ask_again(self, now: float) -> None:
        """Ask those whose question was lost; and if no worker is known to be alive, a few that were not asked."""
        for worker, question in list(self._pool.questions.items()):
            if question.probe.done() and now - question.asked_at >= ASK_AGAIN_SECONDS:
                self.ask(worker)
        if not self._pool.any_trusted:
            unasked = (worker for worker in self._pool if worker not in self._pool.questions)
            for worker in list(itertools.islice(unasked, ASK_AT_ONCE)):
                self.ask(worker)

    def note(self) -> None:
        """Who is known to be alive may have changed."""
        if self._pool.any_trusted:
            self._none_since = None
        elif self._none_since is None:
            self._none_since = self._clock()

    def none_for_too_long(self, now: float) -> bool:
        """Whether for at least the limit no worker has been known to be alive."""
        return self._none_since is not None and now - self._none_since >= self._max_outage_seconds

    def _answered(self, worker: Worker, probe: asyncio.Task[BatchResult]) -> None:
        if not probe.cancelled() and not isinstance(probe.exception(), WorkerLostError):
            self._pool.heard(worker)
            self.note()
            self._on_answer()

"""Pieces to send again: lost with a worker, late on one, or wrong. Each goes alone, if it soon can."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from app.dispatch.liveness import ASK_AT_ONCE
from app.dispatch.pool import Pool, Worker
from app.queue.live_job import Piece

ALONE_SECONDS = 1.0
"""How long a piece has its worker to itself: one that kills its worker does so soon. And a worker is emptied for it
only if the work on it is predicted to take no longer than this."""
SILENT_SECONDS = 1.0
"""No piece that could go back to where it came from waits for workers that have been silent for so long."""


@dataclass(slots=True)
class Survey:
    """The pool, looked at once for all pieces, until one is sent: in a large one it takes long."""

    soonest_first: list[Worker]
    """The trusted workers, in the order in which they will be empty."""
    speaking: list[Worker]
    """Those that have not been silent for so long."""
    unasked: list[Worker]
    """Those with work that may be asked whether they are alive."""


class Retries:
    """The pieces, in order; one that no worker may have lets the next one go first."""

    def __init__(self, pool: Pool, ask: Callable[[Worker], None]) -> None:
        """``ask`` finds out whether an untrusted worker is alive."""
        self._pool = pool
        self._ask = ask
        self._pieces: deque[Piece] = deque()
        self._emptying: Worker | None = None
        """It gets nothing until it is empty, and then its guest. One at a time: the others go on with new work."""

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    def add(self, piece: Piece) -> None:
        """Send this again."""
        self._pieces.append(piece)

    def ready(self, now: float) -> Iterator[tuple[Worker, Piece]]:
        """What can be sent, and to which worker. Send each before taking the next, and take them all."""
        if self._emptying is not None and self._emptying not in self._pool:
            self.stop_emptying()
        pieces, self._pieces = self._pieces, deque()
        in_vain: set[tuple[object, ...]] = set()
        survey: Survey | None = None
        while pieces:
            piece = pieces.popleft()
            if not piece.wanted:
                self._forget(piece)
                continue
            alike = (piece.lane, piece.shunned, *piece.worker_ids)
            worker = self._idle(piece)
            if worker is None and alike not in in_vain:
                survey = survey or self._survey(now)
                worker = self._busy(piece, survey)
            if worker is not None:
                self._forget(piece, but=worker)
                yield worker, piece
                survey = None
            else:
                in_vain.add(alike)
                self._pieces.append(piece)

    def stop_emptying(self) -> None:
        """The worker that is being emptied is no longer known to be alive."""
        if self._emptying is not None:
            worker, self._emptying = self._emptying, None
            self._pool.share(worker)

    def _forget(self, piece: Piece, but: Worker | None = None) -> None:
        """The piece no longer waits for the worker that is being emptied for it."""
        if self._emptying is None or self._emptying.guest is not piece:
            return
        if self._emptying is but:
            self._emptying = None
        else:
            self.stop_emptying()

    def _idle(self, piece: Piece) -> Worker | None:
        """A worker with nothing else, which the piece then has to itself."""
        emptying = self._emptying
        if emptying is not None and emptying.guest is piece and not emptying.in_flight:
            return emptying
        doubtful = []
        unfit = {*piece.worker_ids, *self._shunned(piece)}
        for worker in self._pool.idle.values():
            if worker.worker_id in unfit:
                continue
            if self._pool.trusts(worker):
                self._pool.invite(worker, piece)
                return worker
            doubtful.append(worker)
            if len(doubtful) == ASK_AT_ONCE:
                break
        self._ask_all(doubtful)
        return None

    def _survey(self, now: float) -> Survey:
        return Survey(
            sorted(filter(self._pool.trusts, self._pool), key=_predicted_seconds),
            [worker for worker in self._pool if not self._is_silent(worker, now)],
            [w for w in self._pool if w.guest is None and w.in_flight and w not in self._pool.questions],
        )

    def _busy(self, piece: Piece, survey: Survey) -> Worker | None:
        """None is idle: the one that will be empty first is kept for the piece; if that is not soon, one with room."""
        unfit = self._unfit(piece, survey)
        trusted = (worker for worker in survey.soonest_first if worker.guest is None and worker.worker_id not in unfit)
        if (soonest := next(trusted, None)) is None:
            asked = list(islice((worker for worker in survey.unasked if worker.worker_id not in unfit), ASK_AT_ONCE))
            if asked:
                self._ask_all(asked)
                survey.unasked = [worker for worker in survey.unasked if worker not in asked]
            return None
        if not soonest.in_flight:
            self._pool.invite(soonest, piece)
            return soonest
        if soonest.predicted_seconds > ALONE_SECONDS:
            if self._pool.with_room(piece.lane) is None:  # quickly said, also of a large pool
                return None
            return next((worker for worker in chain([soonest], trusted) if worker.has_room(piece.lane)), None)
        if self._emptying is None:
            self._emptying = soonest
            self._pool.invite(soonest, piece)
        return None

    def _shunned(self, piece: Piece) -> tuple[str, ...]:
        """The worst ones, so that one is left."""
        return piece.shunned[: max(0, len(self._pool) - 1)]

    def _unfit(self, piece: Piece, survey: Survey) -> set[str]:
        """The workers that have it, and those that it shuns, unless none of the others answers."""
        unfit = {*piece.worker_ids, *self._shunned(piece)}
        return unfit if any(w.worker_id not in unfit for w in survey.speaking) else set(piece.worker_ids)

    def _is_silent(self, worker: Worker, now: float) -> bool:
        question = self._pool.questions.get(worker)
        return question is not None and now - question.first_asked_at >= SILENT_SECONDS

    def _ask_all(self, workers: list[Worker]) -> None:
        for worker in workers:
            self._ask(worker)


def _predicted_seconds(worker: Worker) -> float:
    return worker.predicted_seconds

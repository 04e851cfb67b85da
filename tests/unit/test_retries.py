"""What is to be sent again: to whom, when, and what waits for what. On a pool without a dispatcher."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from app.dispatch.liveness import ASK_AT_ONCE
from app.dispatch.pool import Pool, Worker
from app.dispatch.retries import ALONE_SECONDS, SILENT_SECONDS, Retries, Survey
from app.job import BatchResult
from app.queue.cost import CostModel
from app.queue.lanes import Lane
from app.queue.live_job import LiveJob, Piece
from app.queue.remainder import Remainder
from harness.virtual_time import run_virtually
from tests.tasks import job_of, segment

EXPRESS, FULL, LONG = Lane


class Bench:
    """A pool, what is to be sent again over it, and who was asked."""

    def __init__(self, *worker_ids: str) -> None:
        self.pool = Pool()
        self.pool.set_members(worker_ids)
        self.asked: list[str] = []
        self.retries = Retries(self.pool, self._ask)
        self.now = 0.0

    def _ask(self, worker: Worker) -> None:
        self.asked.append(worker.worker_id)
        self.pool.ask(worker, cast("asyncio.Task[BatchResult]", None), self.now)

    def worker(self, worker_id: str) -> Worker:
        return next(worker for worker in self.pool if worker.worker_id == worker_id)

    def busy(self, worker_id: str, seconds: float, lane: Lane = FULL) -> None:
        self.pool.occupy(self.worker(worker_id), seconds, lane)

    def done(self, worker_id: str, seconds: float, lane: Lane = FULL) -> None:
        self.pool.release(self.worker(worker_id), seconds, lane)
        self.pool.heard(self.worker(worker_id))

    def piece(self, shunned: str | None = None, lane: Lane = FULL, has_it: tuple[str, ...] = ()) -> Piece:
        """One more that is to be sent again."""
        live_job = LiveJob(0, job_of(10, 1), Remainder(job_of(10, 1), CostModel()), 0.0)
        piece = Piece(live_job, (segment(0, 10),), 0, 0.1, lane)
        piece.shunned = () if shunned is None else (shunned,)
        piece.worker_ids += has_it
        self.retries.add(piece)
        return piece

    def sent(self) -> dict[Piece, str]:
        """What is sent now, and where to."""
        found = {}
        for worker, piece in self.retries.ready(self.now):
            self.pool.occupy(worker, piece.seconds, piece.lane)
            found[piece] = worker.worker_id
        return found


def on(*worker_ids: str) -> Callable[[Callable[[Bench], None]], Callable[[], None]]:
    """Runs a test on a bench with these workers, in an event loop."""

    def decorate(test: Callable[[Bench], None]) -> Callable[[], None]:
        def run() -> None:
            async def main() -> None:
                test(Bench(*worker_ids))

            run_virtually(main())

        return run

    return decorate


@on("a")
def test_a_piece_has_its_worker_alone(bench: Bench) -> None:
    piece = bench.piece()
    assert bench.sent() == {piece: "a"}
    assert bench.pool.with_room(EXPRESS) is None
    assert bench.worker("a").guest is piece


@on("a")
def test_it_waits_for_a_worker_that_is_soon_empty_and_gets_nothing_more(bench: Bench) -> None:
    bench.busy("a", 0.5)
    piece = bench.piece()
    assert not bench.sent()
    assert bench.pool.with_room(EXPRESS) is None
    bench.done("a", 0.5)
    assert bench.sent() == {piece: "a"}


@on("a", "b")
def test_only_one_worker_is_emptied_at_a_time(bench: Bench) -> None:
    bench.busy("a", 0.5)
    bench.busy("b", 0.4)
    bench.piece()
    bench.piece()
    assert not bench.sent()
    assert [worker.worker_id for worker in bench.pool if worker.guest] == ["b"]


@on("a", "b")
def test_after_one_piece_a_worker_is_emptied_for_the_next(bench: Bench) -> None:
    bench.busy("a", 0.5)
    bench.busy("b", 0.4)
    first, second = bench.piece(), bench.piece()
    bench.sent()
    bench.done("b", 0.4)
    assert bench.sent() == {first: "b"}
    assert bench.worker("a").guest is second


@on("a", "b")
def test_if_another_worker_is_idle_sooner_the_one_that_is_being_emptied_goes_on(bench: Bench) -> None:
    bench.busy("a", 0.5)
    bench.busy("b", 0.6)
    piece = bench.piece()
    bench.sent()
    bench.done("b", 0.6)
    assert bench.sent() == {piece: "b"}
    assert bench.pool.with_room(FULL) is bench.worker("a")


@on("a", "b")
def test_a_worker_is_emptied_for_nobody_whose_job_has_ended(bench: Bench) -> None:
    bench.busy("a", 0.5)
    bench.busy("b", 0.5)
    bench.piece().live_job.finished.cancel()
    second = bench.piece()
    second.live_job.finished.cancel()
    third = bench.piece()
    bench.sent()
    assert bench.worker("a").guest is third
    third.live_job.finished.cancel()
    assert not bench.sent()
    assert not any(worker.guest for worker in bench.pool)
    assert not bench.retries


@on("a", "b")
def test_if_the_worker_that_is_being_emptied_leaves_another_is(bench: Bench) -> None:
    bench.busy("a", 0.1)
    bench.busy("b", 0.5)
    piece = bench.piece()
    bench.sent()
    bench.pool.set_members(["b"])
    bench.sent()
    assert bench.worker("b").guest is piece


@on("a", "b")
def test_after_an_alarm_nobody_is_emptied_that_has_not_been_heard(bench: Bench) -> None:
    bench.busy("a", 0.1)
    bench.busy("b", 0.5)
    piece = bench.piece()
    bench.sent()
    bench.pool.alarm()
    bench.retries.stop_emptying()
    bench.pool.heard(bench.worker("b"))
    bench.sent()
    assert [worker.guest for worker in bench.pool] == [None, piece]


@on("a", "b")
def test_beside_what_takes_longer_it_takes_a_place_like_others(bench: Bench) -> None:
    """a: three batches, 1.2 s; b: one long local job, all other places free."""
    for lane in (FULL, FULL, EXPRESS):
        bench.busy("a", 0.4, lane)
    bench.busy("b", 60.0, LONG)
    piece = bench.piece()
    assert bench.sent() == {piece: "b"}
    assert bench.worker("b").guest is None


@on("a")
def test_so_many_of_them_as_there_are_places(bench: Bench) -> None:
    bench.busy("a", 2 * ALONE_SECONDS, LONG)
    pieces = [bench.piece() for _ in range(4)]
    assert list(bench.sent()) == pieces[:2]
    assert list(bench.retries) == pieces[2:]


@on("a", "b")
def test_one_that_nobody_may_have_lets_the_next_one_pass(bench: Bench) -> None:
    bench.busy("a", 60.0, LONG)
    for _ in range(2):
        bench.busy("a", 0.1)
    blocked, next_one = bench.piece(shunned="b"), bench.piece(shunned="a")
    assert bench.sent() == {next_one: "b"}
    assert list(bench.retries) == [blocked]


@on("a", "b")
def test_they_keep_their_order(bench: Bench) -> None:
    for worker_id in ("a", "b"):
        for lane in (LONG, FULL, FULL):
            bench.busy(worker_id, 5.0, lane)
    pieces = [bench.piece() for _ in range(3)]
    for _ in range(2):
        assert not bench.sent()
    assert list(bench.retries) == pieces


@on("a", "b")
def test_the_worker_that_it_came_from_is_shunned(bench: Bench) -> None:
    piece = bench.piece(shunned="a")
    assert bench.sent() == {piece: "b"}


@on("a")
def test_the_worker_that_it_came_from_may_have_it_if_it_is_the_only_one(bench: Bench) -> None:
    piece = bench.piece(shunned="a")
    assert bench.sent() == {piece: "a"}
    assert bench.worker("a").guest is piece


@on("a", "b")
def test_it_waits_for_a_worker_with_a_guest_rather_than_go_back(bench: Bench) -> None:
    first = bench.piece(shunned="a")
    bench.sent()
    second = bench.piece(shunned="a")
    assert not bench.sent()
    bench.done("b", 0.1)
    bench.pool.share(bench.worker("b"))
    assert bench.sent() == {second: "b"}
    assert first not in bench.retries


@on("a", "b")
def test_it_goes_back_when_none_of_the_others_has_answered_for_long(bench: Bench) -> None:
    bench.pool.alarm()
    bench.pool.heard(bench.worker("a"))
    piece = bench.piece(shunned="a")
    assert not bench.sent()
    assert bench.asked == ["b"]
    bench.now = SILENT_SECONDS - 0.01
    assert not bench.sent()
    bench.now = SILENT_SECONDS
    assert bench.sent() == {piece: "a"}


@on("a", "b")
def test_it_never_goes_where_it_still_is(bench: Bench) -> None:
    bench.piece(shunned="a", has_it=("a", "b"))
    assert not bench.sent()


@on(*(f"w{number:02}" for number in range(20)))
def test_who_has_not_been_heard_since_an_alarm_is_asked_first_some_at_a_time(bench: Bench) -> None:
    bench.pool.alarm()
    piece = bench.piece()
    assert not bench.sent()
    assert bench.asked == [f"w{number:02}" for number in range(ASK_AT_ONCE)]
    bench.pool.heard(bench.worker("w03"))
    assert bench.sent() == {piece: "w03"}


@on("a", "b")
def test_busy_workers_are_asked_too(bench: Bench) -> None:
    """A local job of minutes would not tell for minutes that they live."""
    for worker_id in "ab":
        bench.busy(worker_id, 600.0, LONG)
    bench.pool.alarm()
    piece = bench.piece()
    assert not bench.sent()
    assert bench.asked == ["a", "b"]
    bench.pool.heard(bench.worker("b"))
    assert bench.sent() == {piece: "b"}


def test_those_that_are_alike_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Piece] = []
    busy = Retries._busy

    def spy(retries: Retries, piece: Piece, survey: Survey) -> Worker | None:
        tried.append(piece)
        return busy(retries, piece, survey)

    async def main() -> None:
        bench = Bench("a")
        for lane in (LONG, FULL, FULL):
            bench.busy("a", 5.0, lane)
        for _ in range(200):
            bench.piece()
        bench.sent()
        assert len(tried) == 1

    monkeypatch.setattr(Retries, "_busy", spy)
    run_virtually(main())


def test_the_pool_is_looked_at_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pool of 10,000 workers that were all late, with 1,000 pieces to send again, that took minutes."""
    looked: list[float] = []
    survey = Retries._survey

    def spy(retries: Retries, now: float) -> Survey:
        looked.append(now)
        return survey(retries, now)

    async def main() -> None:
        workers = [f"w{number:02}" for number in range(3 * ASK_AT_ONCE)]
        bench = Bench(*workers)
        for worker_id in workers:
            bench.busy(worker_id, 5.0, LONG)
        bench.pool.alarm()
        for worker_id in workers:
            bench.piece(has_it=(worker_id,))
        assert not bench.sent()
        assert sorted(bench.asked) == workers  # and each of the others is asked once
        assert len(looked) == 1

    monkeypatch.setattr(Retries, "_survey", spy)
    run_virtually(main())

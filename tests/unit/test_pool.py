"""The pool: which worker gets the next batch, and why one gets nothing."""

import asyncio
from typing import cast

import pytest

from app.dispatch.pool import Pool, Worker
from app.job import BatchResult
from app.queue.lanes import LOADS, MAX_FULL, MAX_FULL_AND_EXPRESS, MAX_LONG, Lane, has_room
from app.queue.live_job import Piece

EXPRESS, FULL, LONG = Lane

PROBE = cast("asyncio.Task[BatchResult]", None)
PIECE = cast("Piece", object())


def pool_of(*worker_ids: str) -> Pool:
    pool = Pool()
    pool.set_members(worker_ids)
    return pool


def take(pool: Pool, lane: Lane = FULL, seconds: float = 0.1) -> Worker:
    worker = pool.with_room(lane)
    assert worker is not None
    pool.occupy(worker, seconds, lane)
    return worker


def takes_nothing(pool: Pool) -> bool:
    return all(pool.with_room(lane) is None for lane in Lane)


def test_an_empty_pool_has_no_room() -> None:
    assert takes_nothing(Pool())
    assert not Pool().any_trusted
    assert not Pool().idle


def test_the_least_loaded_worker_is_taken_first() -> None:
    pool = pool_of("a", "b", "c")
    assert [take(pool).worker_id for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_of_equally_loaded_workers_one_without_a_long_batch_is_taken_first() -> None:
    pool = pool_of("a", "b")
    take(pool, LONG)
    take(pool)
    assert take(pool).worker_id == "b"


def test_an_express_batch_goes_where_none_is() -> None:
    pool = pool_of("a", "b")
    take(pool)
    take(pool, EXPRESS)
    take(pool)
    take(pool)
    assert [worker.taken for worker in pool] == [(0, 2, 0), (1, 1, 0)]
    assert take(pool, EXPRESS).worker_id == "a"


def test_who_came_free_last_is_taken_last() -> None:
    pool = pool_of("a", "b")
    worker = take(pool)
    pool.release(worker, 0.1, FULL)
    assert take(pool).worker_id == "b"


@pytest.mark.parametrize(("lane", "most"), [(EXPRESS, MAX_FULL_AND_EXPRESS), (FULL, MAX_FULL), (LONG, MAX_LONG)])
def test_a_worker_takes_so_many_batches_of_a_lane(lane: Lane, most: int) -> None:
    pool = pool_of("a")
    workers = [take(pool, lane) for _ in range(most)]
    assert pool.with_room(lane) is None
    pool.release(workers[0], 0.1, lane)
    assert pool.with_room(lane) is workers[0]


def test_full_batches_leave_a_place_to_an_express_one_and_the_other_way_round() -> None:
    pool = pool_of("a")
    for lane in (FULL, FULL, EXPRESS):
        assert take(pool, lane).worker_id == "a"
    pool = pool_of("a")
    for lane in (EXPRESS, EXPRESS, FULL):
        assert take(pool, lane).worker_id == "a"
    assert pool.with_room(EXPRESS) is pool.with_room(FULL) is None


def test_long_batches_take_no_place_of_the_others() -> None:
    pool = pool_of("a")
    for lane in (LONG, LONG, FULL, FULL, EXPRESS):
        take(pool, lane)
    assert takes_nothing(pool)


def test_no_load_is_one_that_it_may_not_be() -> None:
    assert all(long <= MAX_LONG and full <= MAX_FULL and express + full <= 3 for express, full, long in LOADS)
    assert len(LOADS) == len(set(LOADS)) == 27
    assert not has_room((1, 2, 0), EXPRESS)


def test_members_join_and_leave() -> None:
    pool = pool_of("a")
    pool.set_members(["b", "c"])
    assert len(pool) == 2
    assert {take(pool).worker_id for _ in range(4)} == {"b", "c"}


def test_newcomers_are_taken_in_the_order_in_which_they_are_named() -> None:
    pool = pool_of("c", "a", "b")
    assert [take(pool).worker_id for _ in range(3)] == ["c", "a", "b"]


def test_a_member_that_stays_keeps_its_load() -> None:
    pool = pool_of("a")
    worker = take(pool)
    pool.set_members(["a", "b"])
    assert worker.in_flight == 1
    assert take(pool).worker_id == "b"


def test_what_comes_back_from_a_worker_that_left_does_not_bring_it_back() -> None:
    pool = pool_of("a")
    worker = take(pool)
    pool.set_members([])
    pool.release(worker, 0.1, FULL)
    pool.heard(worker)
    pool.share(worker)
    assert takes_nothing(pool)
    assert not pool.any_trusted


def test_a_worker_that_returns_under_its_name_starts_empty() -> None:
    pool = pool_of("a")
    ghost = take(pool)
    pool.set_members([])
    pool.set_members(["a"])
    pool.release(ghost, 0.1, FULL)
    assert take(pool) is not ghost


def test_what_a_worker_has_is_the_sum_of_its_batches() -> None:
    pool = pool_of("a")
    worker = take(pool, seconds=0.3)
    take(pool, seconds=0.2)
    take(pool, EXPRESS, 0.4)
    pool.release(worker, 0.3, FULL)
    assert worker.taken == (1, 1, 0)
    assert worker.predicted_seconds == pytest.approx(0.6)
    pool.release(worker, 0.2, FULL)
    pool.release(worker, 0.4, EXPRESS)
    assert (worker.in_flight, worker.predicted_seconds) == (0, 0.0)


# Trust


def test_after_an_alarm_nobody_is_trusted_until_it_is_heard() -> None:
    pool = pool_of("a", "b")
    a, b = pool
    assert pool.trusts(a)
    pool.alarm()
    assert not pool.trusts(a)
    assert not pool.any_trusted
    pool.heard(b)
    assert pool.trusts(b)
    assert not pool.trusts(a)
    assert pool.any_trusted


def test_who_joins_is_trusted() -> None:
    pool = pool_of("a")
    pool.alarm()
    pool.set_members(["a", "b"])
    assert [pool.trusts(worker) for worker in pool] == [False, True]


def test_who_is_asked_gets_nothing_before_it_is_heard() -> None:
    pool = pool_of("a")
    (worker,) = pool
    pool.alarm()
    pool.ask(worker, PROBE, 1.0)
    take_nothing = takes_nothing(pool)
    pool.heard(worker)
    assert take_nothing
    assert pool.with_room(FULL) is worker
    assert not pool.questions


def test_a_batch_that_ends_does_not_end_the_question() -> None:
    pool = pool_of("a")
    worker = take(pool)
    pool.ask(worker, PROBE, 1.0)
    pool.release(worker, 0.1, FULL)
    assert takes_nothing(pool)


def test_who_is_asked_again_was_first_asked_before() -> None:
    pool = pool_of("a")
    (worker,) = pool
    for moment in (1.0, 2.0, 3.0):
        pool.ask(worker, PROBE, moment)
    assert (pool.questions[worker].first_asked_at, pool.questions[worker].asked_at) == (1.0, 3.0)
    pool.heard(worker)
    pool.ask(worker, PROBE, 4.0)
    assert pool.questions[worker].first_asked_at == 4.0


def test_who_leaves_is_asked_no_more() -> None:
    pool = pool_of("a")
    (worker,) = pool
    pool.ask(worker, PROBE, 1.0)
    pool.set_members([])
    assert not pool.questions


# Guests


def test_beside_a_guest_a_worker_gets_nothing_until_it_is_shared() -> None:
    pool = pool_of("a")
    (worker,) = pool
    pool.invite(worker, PIECE)
    pool.occupy(worker, 0.1, FULL)
    pool.heard(worker)
    take_nothing = takes_nothing(pool)
    pool.share(worker)
    assert take_nothing
    assert pool.with_room(FULL) is worker


def test_a_guest_does_not_make_an_asked_worker_take_more() -> None:
    pool = pool_of("a")
    (worker,) = pool
    pool.invite(worker, PIECE)
    pool.ask(worker, PROBE, 1.0)
    pool.share(worker)
    assert takes_nothing(pool)


def test_only_workers_without_load_guest_or_question_are_idle() -> None:
    pool = pool_of("a", "b", "c", "d")
    _, b, c, _ = pool
    take(pool)
    pool.invite(b, PIECE)
    pool.ask(c, PROBE, 1.0)
    assert list(pool.idle) == ["d"]

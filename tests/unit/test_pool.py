"""The pool: which worker gets the next batch, and when there is none to get it."""

import pytest

from app.pool import MAX_IN_FLIGHT, MAX_IN_FLIGHT_EXPRESS, RESERVE_SECONDS, Pool, Worker


def pool_of(*worker_ids: str) -> Pool:
    pool = Pool()
    pool.set_members(worker_ids)
    return pool


def take(pool: Pool, seconds: float = 0.1, max_in_flight: int = MAX_IN_FLIGHT) -> Worker:
    worker = pool.with_room(max_in_flight)
    assert worker is not None
    pool.occupy(worker, seconds)
    return worker


def retry_on(pool: Pool, shunned: str | None = None) -> Worker:
    worker = pool.for_retry(shunned)
    assert worker is not None
    pool.occupy(worker, 0.1)
    return worker


def test_an_empty_pool_has_no_room() -> None:
    pool = Pool()
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None
    assert pool.for_retry(None) is None
    assert not pool.any_usable


def test_the_least_loaded_worker_is_taken_first() -> None:
    pool = pool_of("a", "b", "c")
    assert [take(pool).worker_id for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_who_came_free_last_is_taken_last() -> None:
    pool = pool_of("a", "b")
    worker = take(pool)
    pool.release(worker, 0.1)
    assert take(pool).worker_id == "b"


def test_a_worker_takes_two_batches() -> None:
    pool = pool_of("a")
    take(pool)
    take(pool)
    assert pool.with_room(MAX_IN_FLIGHT) is None


def test_a_third_batch_has_room_only_as_express() -> None:
    pool = pool_of("a")
    take(pool)
    take(pool)
    assert take(pool, 0.001, MAX_IN_FLIGHT_EXPRESS).worker_id == "a"
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None


def test_release_makes_room_again() -> None:
    pool = pool_of("a")
    worker = take(pool)
    take(pool)
    pool.release(worker, 0.1)
    assert pool.with_room(MAX_IN_FLIGHT) is worker


def test_members_join_and_leave() -> None:
    pool = pool_of("a")
    pool.set_members(["b", "c"])
    assert len(pool) == 2
    assert {take(pool).worker_id for _ in range(4)} == {"b", "c"}


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
    pool.release(worker, 0.1)
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None


def test_a_worker_that_returns_under_its_name_starts_empty() -> None:
    pool = pool_of("a")
    ghost = take(pool)
    pool.set_members([])
    pool.set_members(["a"])
    pool.release(ghost, 0.1)
    assert take(pool) is not ghost


def test_a_retry_has_its_worker_alone() -> None:
    pool = pool_of("a")
    worker = retry_on(pool)
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None
    assert pool.for_retry(None) is None
    pool.release(worker, 0.1)
    assert pool.with_room(MAX_IN_FLIGHT) is worker


def test_a_retry_waits_for_a_worker_that_is_soon_empty() -> None:
    pool = pool_of("a")
    worker = take(pool)
    assert pool.for_retry(None) is None
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None, "it drains for the retry"
    pool.release(worker, 0.1)
    assert pool.for_retry(None) is worker


def test_only_one_worker_drains_for_retries_at_a_time() -> None:
    pool = pool_of("a", "b")
    take(pool)
    take(pool)
    assert pool.for_retry(None) is None
    assert pool.for_retry(None) is None
    assert take(pool).worker_id == "b"


def test_after_one_retry_a_worker_drains_for_the_next() -> None:
    pool = pool_of("a")
    worker = take(pool)
    assert pool.for_retry(None) is None
    pool.release(worker, 0.1)
    pool.release(retry_on(pool), 0.1)
    take(pool)
    assert pool.for_retry(None) is None
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None, "it drains for the second"


def test_retries_go_on_when_the_worker_that_drains_for_them_stands_still() -> None:
    pool = pool_of("a", "b", "c")
    for _ in "abc":
        take(pool)
    assert pool.for_retry("a") is None
    (drains,) = [worker for worker in pool._workers.values() if worker.reserved]
    pool.suspend(drains, lost=True)
    assert pool.for_retry("a") is None
    (other,) = [worker for worker in pool._workers.values() if worker.reserved and worker is not drains]
    pool.release(other, 0.1)
    assert pool.for_retry("a") is other


def test_what_a_worker_has_is_the_sum_of_its_batches() -> None:
    pool = pool_of("a")
    worker = take(pool, 0.3)
    take(pool, 0.2)
    take(pool, 0.4, MAX_IN_FLIGHT_EXPRESS)
    pool.release(worker, 0.3)
    assert worker.in_flight == 2
    assert worker.predicted_seconds == pytest.approx(0.6)


def test_a_retry_does_not_wait_for_a_worker_that_is_busy_for_long() -> None:
    pool = pool_of("a")
    worker = take(pool, 2 * RESERVE_SECONDS)
    assert pool.for_retry(None) is worker
    assert not worker.reserved


def test_retries_do_not_pile_up_on_a_worker_that_is_busy_for_long() -> None:
    pool = pool_of("a")
    take(pool, 600.0)
    for _ in range(MAX_IN_FLIGHT_EXPRESS + 1):
        if (worker := pool.for_retry(None)) is not None:
            pool.occupy(worker, 0.0)
    assert pool._workers["a"].in_flight <= MAX_IN_FLIGHT_EXPRESS


def test_the_worker_that_lost_the_batch_is_shunned() -> None:
    pool = pool_of("a", "b")
    assert retry_on(pool, shunned="a").worker_id == "b"


def test_the_shunned_worker_is_taken_if_it_is_the_only_one() -> None:
    assert retry_on(pool_of("a"), shunned="a").worker_id == "a"


def test_a_suspended_worker_takes_nothing_until_it_is_resumed() -> None:
    pool = pool_of("a")
    worker = take(pool)
    pool.release(worker, 0.1)
    pool.suspend(worker, lost=True)
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None
    assert pool.for_retry(None) is None
    assert not pool.any_usable
    pool.resume(worker)
    assert pool.with_room(MAX_IN_FLIGHT) is worker
    assert pool.any_usable


def test_a_worker_suspended_with_batches_in_flight_stays_suspended_when_they_end() -> None:
    pool = pool_of("a")
    worker = take(pool)
    take(pool)
    pool.release(worker, 0.1)
    pool.suspend(worker, lost=True)
    pool.release(worker, 0.1)
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None


def test_resuming_a_worker_that_left_does_not_bring_it_back() -> None:
    pool = pool_of("a")
    worker = take(pool)
    pool.suspend(worker, lost=True)
    pool.set_members([])
    pool.resume(worker)
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None


def test_retries_go_on_when_the_worker_that_drains_for_them_leaves() -> None:
    pool = pool_of("a")
    take(pool)
    assert pool.for_retry(None) is None
    pool.set_members(["b"])
    take(pool)
    assert pool.for_retry(None) is None
    assert pool.with_room(MAX_IN_FLIGHT_EXPRESS) is None, "now the other one drains"


def test_a_batch_waits_for_a_reserved_worker_rather_than_go_back_to_the_one_that_got_it_wrong() -> None:
    pool = Pool()
    pool.set_members(["a", "b"])
    reserved = pool.for_retry("a")
    assert reserved is not None
    pool.occupy(reserved, 0.1)
    assert pool.for_retry("a") is None
    pool.release(reserved, 0.1)
    assert pool.for_retry("a") is reserved


def test_newcomers_are_taken_in_the_order_in_which_they_are_named() -> None:
    pool = pool_of("c", "a", "b")
    assert [take(pool).worker_id for _ in range(3)] == ["c", "a", "b"]

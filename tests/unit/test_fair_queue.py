"""The fair queue: who is furthest behind goes first, and nobody gains by leaving or by having many jobs."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.queue.fair_queue import FairQueue, JobQueue


def serve_next(queue: FairQueue[str], seconds: float = 1.0) -> str:
    key = queue.peek()
    assert key is not None
    queue.serve(key, seconds)
    return key


def serve_next_job(queue: JobQueue, callers: dict[int, str], seconds: float = 1.0) -> str:
    job = queue.peek()
    assert job is not None
    queue.serve(callers[job], job, seconds)
    return callers[job]


def queue_of(*keys: str) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for key in keys:
        queue.add(key)
    return queue


def test_an_empty_queue_names_nobody() -> None:
    assert FairQueue[str]().peek() is None
    assert JobQueue().peek() is None


def test_equals_are_served_in_order_of_arrival() -> None:
    queue = queue_of("a", "b", "c")
    assert [serve_next(queue) for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_whoever_was_served_least_goes_first() -> None:
    queue = queue_of("long", "short")
    queue.serve("long", 3.0)
    assert [serve_next(queue) for _ in range(4)] == ["short", "short", "short", "long"]


def test_a_newcomer_starts_at_virtual_time_not_in_the_past() -> None:
    queue = queue_of("old")
    for _ in range(100):
        queue.serve("old", 1.0)
    queue.add("new")
    assert Counter(serve_next(queue) for _ in range(20)) == {"new": 10, "old": 10}


def test_a_newcomer_goes_before_one_whose_service_has_begun() -> None:
    queue = queue_of("minutes")
    queue.serve("minutes", 0.2)
    queue.add("milliseconds")
    assert queue.peek() == "milliseconds"


def test_leaving_and_coming_back_is_not_free() -> None:
    queue = queue_of("honest", "sly")
    served = Counter[str]()
    for _ in range(100):
        key = serve_next(queue)
        served[key] += 1
        if key == "sly":
            queue.remove("sly")
            queue.add("sly")
    assert served == {"honest": 50, "sly": 50}


def test_who_was_served_more_than_others_and_left_comes_back_behind_a_newcomer() -> None:
    queue = queue_of("sly", "busy")
    queue.serve("sly", 10.0)
    queue.serve("busy", 1.0)
    queue.remove("busy")
    queue.remove("sly")
    queue.add("sly")
    queue.add("new")
    assert queue.peek() == "new"


def test_who_was_away_for_long_starts_at_virtual_time() -> None:
    queue = queue_of("a", "b")
    queue.serve("b", 5.0)
    queue.remove("b")
    for _ in range(50):
        queue.serve("a", 1.0)
    queue.add("b")
    served = Counter(serve_next(queue) for _ in range(10))
    assert abs(served["a"] - served["b"]) <= 5.0 / 2, "its own service, shared by two, still counts"


def test_who_left_is_not_named() -> None:
    queue = queue_of("a", "b")
    queue.remove("a")
    assert queue.peek() == "b"
    assert "a" not in queue
    assert len(queue) == 1


def test_the_heap_does_not_grow_with_services() -> None:
    queue = queue_of(*map(str, range(10)))
    for _ in range(10_000):
        serve_next(queue)
    assert len(queue._heap) < 200


def test_what_is_kept_of_leavers_does_not_grow_without_bound() -> None:
    queue = queue_of("stays")
    for number in range(10_000):
        queue.add(f"guest {number}")
        queue.serve(f"guest {number}", 1.0)
        queue.remove(f"guest {number}")
        queue.serve("stays", 1.0)
    assert len(queue._left_with) < 200
    assert len(queue._heap) < 200


def test_a_leaver_whose_tag_virtual_time_has_reached_is_forgotten() -> None:
    queue = queue_of("stays", "leaves")
    queue.serve("leaves", 2.0)
    queue.remove("leaves")
    queue.serve("stays", 1.0)
    assert queue._left_with
    queue.serve("stays", 1.0)
    assert not queue._left_with
    assert not queue._left_heap


def test_coming_and_going_without_service_leaves_nothing_to_grow() -> None:
    queue = queue_of("stays", "restless")
    queue.serve("restless", 1.0)
    for _ in range(10_000):
        queue.remove("restless")
        queue.add("restless")
    assert len(queue._left_heap) < 200


def test_nothing_is_kept_of_a_job_that_left() -> None:
    queue = JobQueue()
    for job in range(1_000):
        queue.add("caller", job)
    for job in range(999):
        assert queue.peek() == job
        queue.serve("caller", job, 1.0)
        queue.remove("caller", job)
    assert not queue._jobs["caller"]._left_with


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.01, 1.0)), min_size=1, max_size=200))
def test_nobody_who_stays_falls_behind_by_more_than_one_service(services: list[tuple[str, float]]) -> None:
    queue = queue_of("a", "b", "c", "d")
    received = dict.fromkeys("abcd", 0.0)
    for _, seconds in services:
        received[serve_next(queue, seconds)] += seconds
    assert max(received.values()) - min(received.values()) <= 1.0 + 1e-9


def test_two_callers_share_equally_however_many_jobs_each_has() -> None:
    queue = JobQueue()
    callers = {0: "one job"} | dict.fromkeys(range(1, 100), "many jobs")
    for job, caller in callers.items():
        queue.add(caller, job)
    assert Counter(serve_next_job(queue, callers) for _ in range(100)) == {"one job": 50, "many jobs": 50}


def test_the_jobs_of_one_caller_share_equally() -> None:
    queue = JobQueue()
    for job in range(3):
        queue.add("caller", job)
    served = Counter[int]()
    for _ in range(30):
        job_served = queue.peek()
        assert job_served is not None
        queue.serve("caller", job_served, 1.0)
        served[job_served] += 1
    assert served == {0: 10, 1: 10, 2: 10}


def test_a_caller_gains_nothing_by_sending_jobs_one_by_one() -> None:
    queue = JobQueue()
    callers = {0: "steady"}
    queue.add("steady", 0)
    served = Counter[str]()
    for number in range(1, 101):
        callers[number] = "drip"
        queue.add("drip", number)
        served[serve_next_job(queue, callers)] += 1
        queue.remove("drip", number)
    assert abs(served["steady"] - served["drip"]) <= 1


def test_a_stream_of_newcomers_served_once_each_does_not_keep_another_waiting_for_ever() -> None:
    """All of them would start at the same tag, and the one that has been served before is ahead of it by a service."""
    queue = JobQueue()
    for job in range(10):
        queue.add("caller", job)
    queue.serve("caller", 0, 1.0)
    for number in range(10, 200):
        job_served = queue.peek()
        assert job_served is not None
        if job_served == 0:
            break
        queue.serve("caller", job_served, 1.0)
        queue.remove("caller", job_served)
        queue.add("caller", number)
    assert 15 <= number <= 35, "after about two rounds"


def test_nor_does_a_stream_of_callers() -> None:
    queue = queue_of(*"0123456789")
    queue.serve("0", 1.0)
    for number in range(10, 200):
        if (key := serve_next(queue)) == "0":
            break
        queue.remove(key)
        queue.add(str(number))
    assert 15 <= number <= 35


def test_a_job_that_is_not_there_can_be_removed() -> None:
    queue = JobQueue()
    queue.add("caller", 1)
    queue.remove("caller", 2)
    queue.remove("nobody", 1)
    assert queue.peek() == 1


def test_nothing_is_kept_of_a_caller_without_jobs() -> None:
    queue = JobQueue()
    queue.add("caller", 1)
    queue.remove("caller", 1)
    assert queue.peek() is None
    assert not queue._jobs
    assert not len(queue._callers)

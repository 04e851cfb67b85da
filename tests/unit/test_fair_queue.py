"""The fair queue: who is furthest behind goes first, and nobody gains by leaving or by having many jobs."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.fair_queue import FairQueue, JobQueue
from app.lanes import Lane

EXPRESS, FULL, LONG = Lane


def serve_next(queue: FairQueue[str], seconds: float = 1.0) -> str:
    key = queue.peek(Lane)
    assert key is not None
    queue.serve(key, seconds)
    return key


def serve_next_job(queue: JobQueue, callers: dict[int, str], seconds: float = 1.0) -> str:
    job = queue.peek(Lane)
    assert job is not None
    queue.serve(callers[job], FULL, job, seconds)
    return callers[job]


def queue_of(*keys: str) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for key in keys:
        queue.add(key, FULL)
    return queue


def test_an_empty_queue_names_nobody() -> None:
    assert FairQueue[str]().peek(Lane) is None
    assert JobQueue().peek(Lane) is None


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
    queue.add("new", FULL)
    assert Counter(serve_next(queue) for _ in range(20)) == {"new": 10, "old": 10}


def test_a_newcomer_goes_before_one_whose_service_has_begun() -> None:
    queue = queue_of("minutes")
    queue.serve("minutes", 0.2)
    queue.add("milliseconds", FULL)
    assert queue.peek(Lane) == "milliseconds"


def test_leaving_and_coming_back_is_not_free() -> None:
    queue = queue_of("honest", "sly")
    served = Counter[str]()
    for _ in range(100):
        key = serve_next(queue)
        served[key] += 1
        if key == "sly":
            queue.remove("sly", FULL)
            queue.add("sly", FULL)
    assert served == {"honest": 50, "sly": 50}


def test_who_was_served_more_than_others_and_left_comes_back_behind_a_newcomer() -> None:
    queue = queue_of("sly", "busy")
    queue.serve("sly", 10.0)
    queue.serve("busy", 100.0)
    queue.serve("sly", 10.0)
    queue.remove("sly", FULL)
    queue.add("sly", FULL)
    queue.add("new", FULL)
    assert queue.peek(Lane) == "new"


def test_who_was_away_for_long_starts_at_virtual_time() -> None:
    queue = queue_of("a", "b")
    queue.serve("b", 5.0)
    queue.remove("b", FULL)
    for _ in range(50):
        queue.serve("a", 1.0)
    queue.add("b", FULL)
    assert Counter(serve_next(queue) for _ in range(10)) == {"a": 5, "b": 5}


def test_who_left_is_not_named() -> None:
    queue = queue_of("a", "b")
    queue.remove("a", FULL)
    assert queue.peek(Lane) == "b"
    assert "a" not in queue
    assert len(queue) == 1


def test_the_heap_does_not_grow_with_services() -> None:
    queue = queue_of(*map(str, range(10)))
    for _ in range(10_000):
        serve_next(queue)
    assert len(queue._heaps[FULL]) < 200


def test_what_is_kept_of_leavers_does_not_grow_without_bound() -> None:
    queue = queue_of("stays")
    for number in range(10_000):
        queue.add(f"guest {number}", FULL)
        queue.serve(f"guest {number}", 1.0)
        queue.remove(f"guest {number}", FULL)
        queue.serve("stays", 1.0)
    assert len(queue._left_with) < 200
    assert len(queue._heaps[FULL]) < 200


def test_a_leaver_whose_tag_virtual_time_has_reached_is_forgotten() -> None:
    queue = queue_of("stays", "leaves")
    queue.serve("leaves", 2.0)
    queue.remove("leaves", FULL)
    for _ in range(2):
        queue.serve("stays", 1.0)
    assert queue._left_with
    queue.serve("stays", 1.0)
    assert not queue._left_with
    assert not queue._left_heap


def test_coming_and_going_without_service_leaves_nothing_to_grow() -> None:
    queue = queue_of("stays", "restless")
    queue.serve("restless", 1.0)
    for _ in range(10_000):
        queue.remove("restless", FULL)
        queue.add("restless", FULL)
    assert len(queue._left_heap) < 200


def test_nothing_is_kept_of_a_job_that_left() -> None:
    queue = JobQueue()
    for job in range(1_000):
        queue.add("caller", FULL, job)
    for job in range(999):
        assert queue.peek(Lane) == job
        queue.serve("caller", FULL, job, 1.0)
        queue.remove("caller", FULL, job)
    assert not queue._jobs["caller", FULL]._left_with


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
        queue.add(caller, FULL, job)
    assert Counter(serve_next_job(queue, callers) for _ in range(100)) == {"one job": 50, "many jobs": 50}


def test_the_jobs_of_one_caller_share_equally() -> None:
    queue = JobQueue()
    for job in range(3):
        queue.add("caller", FULL, job)
    served = Counter[int]()
    for _ in range(30):
        job_served = queue.peek(Lane)
        assert job_served is not None
        queue.serve("caller", FULL, job_served, 1.0)
        served[job_served] += 1
    assert served == {0: 10, 1: 10, 2: 10}


def test_a_caller_gains_nothing_by_sending_jobs_one_by_one() -> None:
    queue = JobQueue()
    callers = {0: "steady"}
    queue.add("steady", FULL, 0)
    served = Counter[str]()
    for number in range(1, 101):
        callers[number] = "drip"
        queue.add("drip", FULL, number)
        served[serve_next_job(queue, callers)] += 1
        queue.remove("drip", FULL, number)
    assert abs(served["steady"] - served["drip"]) <= 1


def test_a_stream_of_newcomers_served_once_each_does_not_keep_another_waiting_for_ever() -> None:
    """All of them start at the same tag, and the one that has been served before is ahead of it by a service."""
    queue = JobQueue()
    for job in range(10):
        queue.add("caller", FULL, job)
    queue.serve("caller", FULL, 0, 1.0)
    for number in range(10, 200):
        job_served = queue.peek(Lane)
        assert job_served is not None
        if job_served == 0:
            break
        queue.serve("caller", FULL, job_served, 1.0)
        queue.remove("caller", FULL, job_served)
        queue.add("caller", FULL, number)
    assert 15 <= number <= 35, "after about two rounds"


def test_only_who_has_work_in_one_of_the_lanes_is_named() -> None:
    queue = queue_of("full")
    queue.add("both", FULL)
    queue.add("both", EXPRESS)
    assert [queue.peek(lanes) for lanes in ([EXPRESS], [FULL], [FULL, EXPRESS], [LONG], [])] == [
        "both", "full", "full", None, None,
    ]  # fmt: skip
    queue.serve("both", 1.0)
    assert queue.peek([EXPRESS]) == "both"
    queue.remove("both", EXPRESS)
    assert queue.peek([EXPRESS]) is None
    assert "both" in queue


def test_a_service_in_one_lane_counts_in_the_others() -> None:
    queue = queue_of("a", "b")
    for key in "ab":
        queue.add(key, EXPRESS)
    queue.serve("a", 5.0)
    assert queue.peek([EXPRESS]) == queue.peek([FULL]) == "b"
    queue.serve("b", 10.0)
    assert queue.peek([EXPRESS]) == queue.peek([FULL]) == "a"


def test_of_a_callers_jobs_that_of_the_first_lane_is_named() -> None:
    queue = JobQueue()
    queue.add("caller", EXPRESS, 1)
    queue.add("caller", FULL, 2)
    assert queue.peek([FULL, EXPRESS]) == 2
    assert queue.peek([EXPRESS, FULL]) == 1
    assert queue.peek([LONG, EXPRESS]) == 1
    assert queue.peek([LONG]) is None


def test_a_job_that_is_not_there_can_be_removed() -> None:
    queue = JobQueue()
    queue.add("caller", FULL, 1)
    queue.remove("caller", FULL, 2)
    queue.remove("nobody", FULL, 1)
    assert queue.peek(Lane) == 1


def test_nothing_is_kept_of_a_caller_without_jobs() -> None:
    queue = JobQueue()
    queue.add("caller", FULL, 1)
    queue.remove("caller", FULL, 1)
    assert queue.peek(Lane) is None
    assert not queue._jobs
    assert not len(queue._callers)

"""More comes in than can be done, for long: what is answered, who waits how long, who is refused. In virtual time."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from app.errors import QueueFullError
from app.job import Execution, Job
from app.queue.admission import RELAXED, Admission
from app.queue.cost import CostModel
from app.queue.holding import TURNS_SECONDS, AskedFor
from app.queue.live_job import LiveJob
from app.queue.remainder import Remainder
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import SimulatedPool, job

MAX_QUEUED_SECONDS = 20.0
SETTINGS = Settings(max_queued_seconds=MAX_QUEUED_SECONDS)
MOST_WAITING = 1.5
"""Times ``max_queued_seconds``, of the slowest admitted job."""
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Answer:
    """When it was posted and answered, and what it cost; seconds."""

    posted_at: float
    answered_at: float
    cost: float


def mixed_seconds(least: float, greatest: float) -> Iterator[float]:
    """Endless, evenly over the orders of magnitude."""
    for number in itertools.count(1):
        yield least * (greatest / least) ** (number * GOLDEN % 1.0)


async def overload(pool: SimulatedPool, rate: float, until: float, posted: Iterator[Job]) -> list[Answer]:
    """So many jobs a second, whether or not others are answered; those that were admitted."""
    now = asyncio.get_running_loop().time

    async def post(one: Job) -> Answer | None:
        posted_at = now()
        try:
            (result,) = await pool.dispatcher.run(one)
        except QueueFullError:
            return None
        return Answer(posted_at, now(), result.timing.compute_seconds)

    tasks = []
    while now() < until:
        tasks.append(asyncio.create_task(post(next(posted))))
        await asyncio.sleep(1 / rate)
    return [answer for task in tasks if (answer := await task) is not None]


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("greatest", [0.5, 2.0])
def test_the_slowest_does_not_wait_for_long_and_the_work_is_done(greatest: float, execution: Execution) -> None:
    """Four times of what can be done; the first third does not count, while the queue fills."""

    async def main() -> None:
        pool = SimulatedPool(2, SETTINGS)
        posted = (job(seconds, execution=execution) for seconds in mixed_seconds(0.02, greatest))
        mean = sum(itertools.islice(mixed_seconds(0.02, greatest), 1000)) / 1000
        answers = await overload(pool, 4 * 2 / mean, 60.0, posted)
        assert max(a.answered_at - a.posted_at - a.cost for a in answers) <= MOST_WAITING * MAX_QUEUED_SECONDS
        work = sum(a.cost for a in answers if 20.0 <= a.answered_at <= 60.0)
        assert work >= 0.95 * 2 * 40.0
        assert max(a.cost for a in answers if a.posted_at > 20.0) > 0.8 * greatest, "large ones are let in, too"

    run_virtually(main())


def test_small_jobs_are_served_at_once_meanwhile() -> None:
    async def main() -> None:
        pool = SimulatedPool(2, SETTINGS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(overload(pool, 8.0, 40.0, (job(1.0) for _ in itertools.count())))
            await asyncio.sleep(10.0)
            light = await overload(pool, 5.0, 40.0, (job(0.001) for _ in itertools.count()))
        assert len(light) == pytest.approx(30.0 * 5.0, abs=2)
        assert max(a.answered_at - a.posted_at for a in light) < 0.1

    run_virtually(main())


# Admission alone

Admit = Callable[..., Sequence[LiveJob]]


def with_backlog(use: Callable[[Admit, Admission], None]) -> None:
    """Run ``use(admit, backlog)``; ``admit(seconds, caller)`` takes in a job for two workers."""

    async def main() -> None:
        backlog = Admission(SETTINGS)
        numbers = itertools.count()

        def admit(seconds: float, caller: str = "", now: float = 0.0) -> Sequence[LiveJob]:
            number = next(numbers)
            one = job(seconds, caller=caller)
            admitted = [LiveJob(number, one, Remainder(one, CostModel()), now)]
            backlog.admit(admitted, 2)
            return admitted

        use(admit, backlog)

    run_virtually(main())


def test_as_many_take_turns_as_let_the_largest_be_done_in_time() -> None:
    def use(admit: Admit, _: Admission) -> None:
        admit(2.0)
        for _number in range(19):
            admit(0.4)
        with pytest.raises(QueueFullError, match="20 unfinished jobs take turns") as caught:
            admit(0.4)
        assert caught.value.retry_after_seconds == pytest.approx(0.4 * 20 / 2, abs=1.0)
        admit(0.005)

    with_backlog(use)


def test_when_one_is_done_the_next_is_let_in() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        (first,) = admit(2.0)
        held = [admit(0.4)[0] for _ in range(19)]
        with pytest.raises(QueueFullError):
            admit(0.4)
        backlog.remove(held[0])
        admit(0.4)
        with pytest.raises(QueueFullError):
            admit(0.4)
        backlog.remove(first)
        admit(0.4)
        with pytest.raises(QueueFullError):
            admit(0.4)  # the next one of its size is to have its chance

    with_backlog(use)


def test_those_that_are_soon_done_keep_nobody_out() -> None:
    def use(admit: Admit, _: Admission) -> None:
        for _number in range(int(RELAXED * MAX_QUEUED_SECONDS * 2 / 0.02) - 20):
            admit(0.02)
        admit(2.0)

    with_backlog(use)


def test_what_piles_up_while_workers_are_lost_keeps_nobody_out() -> None:
    """More is there than there should be, but not more comes in than can be done."""

    def use(admit: Admit, _: Admission) -> None:
        admit(2.0)
        for number in range(60):
            admit(0.4, now=0.5 * number)

    with_backlog(use)


def test_where_more_comes_in_than_can_be_done_it_is_an_overload() -> None:
    def use(admit: Admit, _: Admission) -> None:
        admit(2.0)
        for number in range(19):
            admit(0.4, now=0.05 * number)
        with pytest.raises(QueueFullError, match="unfinished jobs take turns"):
            admit(0.4, now=1.0)

    with_backlog(use)


def test_what_was_asked_for_is_forgotten() -> None:
    asked_for = AskedFor(10.0)
    for second in range(100):
        asked_for.add(3.0, second)
    assert asked_for.rate == pytest.approx(3.0, rel=0.1)
    asked_for.add(0.0, 120.0)
    assert asked_for.rate < 0.5


def test_for_the_sake_of_a_job_of_minutes_nobody_is_kept_out() -> None:
    def use(admit: Admit, _: Admission) -> None:
        admit(500.0)
        for _number in range(50):
            admit(0.5)

    with_backlog(use)


def test_how_large_a_refused_job_was_is_forgotten_when_there_is_little_to_do() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        held = [live_job for _ in range(50) for live_job in admit(0.5)]
        for _ in range(2):
            with pytest.raises(QueueFullError, match="50 unfinished jobs take turns"):
                admit(TURNS_SECONDS - 0.1)
            with pytest.raises(QueueFullError, match="50 unfinished jobs take turns"):
                admit(0.5)
        for live_job in held[1:]:
            backlog.remove(live_job)
        for _number in range(60):
            admit(0.5)

    with_backlog(use)


def test_it_is_among_the_jobs_of_one_caller_and_others_get_as_much() -> None:
    def use(admit: Admit, _: Admission) -> None:
        admit(2.0, "alice")
        for _number in range(10):
            admit(0.6, "alice")
        admit(0.6, "bob")
        admit(0.6, "alice")
        for _number in range(2):
            admit(10.0, "bob")
        with pytest.raises(QueueFullError, match="12 unfinished jobs take turns"):
            admit(0.6, "alice")
        admit(0.6, "carol")

    with_backlog(use)


def test_what_is_kept_of_jobs_that_are_over_does_not_grow() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        admit(2.0)
        for _number in range(1_000):
            backlog.remove(*admit(0.1))
        assert len(backlog._holdings[""]._sizes) < 100

    with_backlog(use)

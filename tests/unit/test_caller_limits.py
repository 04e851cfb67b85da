"""Admission with named callers: each has limits of its own, and what another holds counts only as its fair share."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from app.errors import CallerLimitError, QueueFullError
from app.job import Job, JobResult
from app.queue.admission import Admission
from app.queue.cost import CostModel
from app.queue.live_job import LiveJob
from app.queue.remainder import Remainder
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, SimulatedPool, assert_nothing_is_left, job

COST = CostModel()


def limited(**limits: float) -> Settings:
    """Settings whose other limits are out of the way."""
    return ROOMY.model_copy(update=limits)


def with_backlog(settings: Settings, use: Callable[[Callable[..., list[LiveJob]], Admission], None]) -> None:
    """Run ``use(admit, backlog)``; ``admit(seconds, caller)`` takes in a job for two workers."""

    async def main() -> None:
        backlog = Admission(settings)
        numbers = itertools.count()

        def admit(seconds: float, caller: str, count: int = 1) -> list[LiveJob]:
            jobs = [job(seconds, caller=caller) for _ in range(count)]
            admitted = [LiveJob(next(numbers), one, Remainder(one, COST), 0.0) for one in jobs]
            backlog.admit(admitted, 2)
            return admitted

        use(admit, backlog)

    run_virtually(main())


Admit = Callable[..., list[LiveJob]]


def test_a_caller_has_no_more_jobs_than_its_limit_and_others_are_not_concerned() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        held = [admit(1.0, "alice") for _ in range(3)]
        with pytest.raises(CallerLimitError, match="alice already has 3 unfinished jobs"):
            admit(1.0, "alice")
        for _ in range(3):
            admit(1.0, "bob")
        backlog.remove(held[0][0])
        admit(1.0, "alice")
        with pytest.raises(CallerLimitError):
            admit(1.0, "alice")

    with_backlog(limited(max_caller_jobs=3), use)


def test_a_caller_is_asked_to_wait_for_a_second_at_least() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        admit(0.001, "alice")
        with pytest.raises(CallerLimitError) as caught:
            admit(0.001, "alice")
        assert caught.value.retry_after_seconds == 1

    with_backlog(limited(max_caller_jobs=1), use)


def test_a_comparison_is_one_admission_of_two_jobs() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        admit(1.0, "alice", count=2)
        with pytest.raises(CallerLimitError, match="alice already has 2 unfinished jobs"):
            admit(1.0, "alice")

    with_backlog(limited(max_caller_jobs=1), use)


@pytest.mark.parametrize("limits", [{"max_caller_jobs": 2}, {"max_queued_jobs": 2}])
def test_a_comparison_counts_as_the_two_jobs_that_it_is(limits: dict[str, float]) -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        admit(1.0, "alice")
        with pytest.raises((CallerLimitError, QueueFullError)):
            admit(1.0, "alice", count=2)
        admit(1.0, "alice")

    with_backlog(limited(**limits), use)


def test_a_callers_own_work_is_limited_in_seconds_and_others_are_not_concerned() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        for _ in range(7):  # the seventh has 60 core-seconds of six before it, on two workers
            admit(10.0, "alice")
        with pytest.raises(
            CallerLimitError, match=r"alice's own work ahead of this job would take 35\.\d s; the limit is 32 s"
        ):
            admit(10.0, "alice")
        for _ in range(7):
            admit(10.0, "bob")

    with_backlog(limited(max_caller_queued_seconds=32), use)


def test_a_callers_short_job_is_let_in_behind_its_long_one() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        admit(600.0, "alice")
        with pytest.raises(CallerLimitError):
            admit(100.0, "alice")
        admit(0.001, "alice")

    with_backlog(limited(max_caller_queued_seconds=30), use)


def test_callers_without_a_name_have_no_limits_of_their_own() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        for _ in range(5):
            admit(100.0, "")

    with_backlog(limited(max_caller_jobs=1, max_caller_queued_seconds=1), use)


def test_the_callers_limit_is_told_before_that_of_the_queue() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        for _ in range(7):
            admit(10.0, "alice")
        with pytest.raises(CallerLimitError):
            admit(10.0, "alice")

    with_backlog(limited(max_caller_queued_seconds=32, max_queued_seconds=32), use)


def test_jobs_of_another_caller_count_together_as_its_fair_share() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        for _ in range(12):
            admit(10.0, "alice")
        admit(100.0, "bob")  # 50 s for alice until then; each job for itself would be too much
        with pytest.raises(QueueFullError, match=r"would take 75\.\d s"):
            admit(50.0, "bob")  # 50 core-seconds of its own, and twice as many for alice

    with_backlog(limited(max_queued_seconds=60), use)


def test_a_caller_without_jobs_has_ahead_only_what_others_get_meanwhile() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        for _ in range(5):
            admit(10.0, "alice")
        with pytest.raises(QueueFullError, match=r"would take 24\.5 s"):
            admit(49.0, "bob")
        admit(40.0, "bob")

    with_backlog(limited(max_queued_seconds=24), use)


def test_callers_without_a_name_are_one_caller() -> None:
    def use(admit: Admit, backlog: Admission) -> None:
        for _ in range(13):  # 60 s for two workers
            admit(10.0, "")
        with pytest.raises(QueueFullError, match=r"would take 65\.\d s"):
            admit(10.0, "")

    with_backlog(limited(max_queued_seconds=62), use)


@pytest.mark.parametrize("flood", [1, 200])
def test_a_job_behind_anothers_flood_is_done_when_its_fair_share_says(flood: int) -> None:
    async def main() -> float:
        pool = SimulatedPool(2, limited(max_queued_seconds=60))
        flooding = [
            asyncio.create_task(pool.dispatcher.run(job(1.0, 2000 // flood, caller="alice"))) for _ in range(flood)
        ]
        await asyncio.sleep(1.0)
        (result,) = await pool.dispatcher.run(job(1.0, 20, caller="bob"))
        for task in flooding:
            task.cancel()
        await asyncio.wait(flooding)
        assert_nothing_is_left(pool)
        return result.timing.total_seconds

    # 20 core-seconds of its own and 20 of alice's on two workers
    assert run_virtually(main()) == pytest.approx(20.0, rel=0.1)


@pytest.mark.parametrize(
    ("limits", "held", "wanted"),
    [
        ({"max_caller_jobs": 8}, [5.0] * 8, 1.0),
        ({"max_caller_jobs": 3}, [40.0, 40.0, 2.0], 1.0),
        ({"max_caller_queued_seconds": 5.5}, [5.0] * 3, 5.0),
        ({"max_caller_queued_seconds": 5.0}, [40.0], 20.0),
        ({"max_caller_queued_seconds": 5.0}, [40.0, 2.0, 2.0], 9.0),
    ],
)
def test_retry_after_is_when_the_caller_is_let_in_again(
    limits: dict[str, float], held: list[float], wanted: float
) -> None:
    async def main() -> tuple[float, int]:
        pool = SimulatedPool(2, limited(**limits))
        now = asyncio.get_running_loop().time
        tasks: list[asyncio.Task[list[JobResult]]] = [
            asyncio.create_task(pool.dispatcher.run(job(1.0, 150, caller="bob")))
        ]
        for seconds in held:
            tasks.append(asyncio.create_task(pool.dispatcher.run(job(seconds, caller="alice"))))
            await asyncio.sleep(0)
        refused_at = now()
        retry_after_seconds = 0
        while True:
            try:
                await pool.dispatcher.run(job(wanted, caller="alice"))
                break
            except CallerLimitError as error:
                retry_after_seconds = retry_after_seconds or error.retry_after_seconds
                await asyncio.sleep(0.1)
                let_in_at = now()
        await asyncio.gather(*tasks)
        assert_nothing_is_left(pool)
        return let_in_at - refused_at, retry_after_seconds

    waited, told = run_virtually(main())
    assert told >= 1
    assert abs(told - waited) <= max(1.0, 0.25 * waited)


def test_nothing_is_kept_of_a_caller_whose_jobs_are_over() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        await asyncio.gather(*(pool.dispatcher.run(job(0.3, 2, caller=name)) for name in ("alice", "bob", "")))
        leaving = asyncio.create_task(pool.dispatcher.run(job(100.0, caller="alice")))
        await asyncio.sleep(1.0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert_nothing_is_left(pool)
        assert not pool.dispatcher._admission._holdings

    run_virtually(main())


def test_what_callers_hold_adds_up_while_their_jobs_run() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        jobs: list[Job] = [job(0.7, 20, caller=name) for name in ("alice", "alice", "bob")]
        running = [asyncio.create_task(pool.dispatcher.run(one)) for one in jobs]
        backlog = pool.dispatcher._admission
        for _ in range(15):
            await asyncio.sleep(1.0)
            held = {name: holding.seconds for name, holding in backlog._holdings.items()}
            assert sum(held.values()) == pytest.approx(backlog.seconds)
            for name, seconds in held.items():
                own = [one.unfinished_seconds for one in backlog if one.job.caller == name]
                assert seconds == pytest.approx(sum(own))
        await asyncio.gather(*running)

    run_virtually(main())

"""Whatever mix of jobs, losses, joins and cancellations: answers are exact and nothing is left behind."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import JobError
from app.job import Execution, Job, JobResult, Segment, SegmentResult
from app.kernels.fibonacci.task import FibonacciTask
from app.queue.live_job import LiveJob
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, SimulatedPool, assert_nothing_is_left

Counted = dict[str, list[tuple[int, Segment]]]
"""Segments with the line each was counted for, by job id."""


@dataclass(frozen=True, slots=True)
class Post:
    """Post a job; perhaps cancel it some time later, perhaps with a deadline."""

    job: Job
    cancel_after: float | None
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class Lose:
    """One of the workers dies."""

    number: int
    notice_seconds: float


@dataclass(frozen=True, slots=True)
class Join:
    """A worker joins."""


JOBS = st.builds(
    Job,
    st.just(""),
    st.builds(
        FibonacciTask,
        st.one_of(st.integers(0, 1_000), st.integers(0, 400_000)),
        st.one_of(st.just(1), st.integers(1, 40)),
    ),
    st.sampled_from(Execution),
    st.sampled_from(["", "other"]),
)
SOON = st.one_of(st.none(), st.none(), st.floats(0.0, 2.0))
POSTS = st.builds(Post, JOBS, SOON, st.one_of(st.none(), st.none(), st.floats(0.01, 2.0)))
EVENTS = st.one_of(POSTS, POSTS, st.builds(Lose, st.integers(0, 5), st.floats(0.0, 2.0)), st.builds(Join))
SCRIPTS = st.lists(st.tuples(st.floats(0.0, 0.5), EVENTS), min_size=1, max_size=25)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Fills with every segment that any job counts."""
    seen: Counted = defaultdict(list)
    count = LiveJob._count

    def spy(live_job: LiveJob, segment: Segment, done: SegmentResult, line: int) -> None:
        seen[live_job.job.job_id].append((line, segment))
        count(live_job, segment, done, line)

    monkeypatch.setattr(LiveJob, "_count", spy)
    return seen


def assert_each_term_once(job: Job, segments: list[tuple[int, Segment]]) -> None:
    """Laid side by side the segments are the job's line."""
    line = position = 0
    for first, segment in sorted(segments, key=lambda item: (item[0], item[1].start)):
        assert (first, segment.start) == (line, position)
        ends = segment.stop == job.task.length
        line, position = line + segment.count * ends, 0 if ends else segment.stop
    assert (line, position) == (job.task.num_lines, 0)


async def play(pool: SimulatedPool, script: list[tuple[float, Post | Lose | Join]]) -> list[JobResult]:
    """Play the script; the results of the jobs that have one."""
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[list[JobResult]]] = []
    for pause, event in script:
        await asyncio.sleep(pause)
        if isinstance(event, Post):
            job = replace(event.job, job_id=str(len(tasks)))
            task = asyncio.create_task(pool.dispatcher.run(job, timeout_seconds=event.timeout_seconds))
            tasks.append(task)
            if event.cancel_after is not None:
                loop.call_later(event.cancel_after, task.cancel)
        elif isinstance(event, Join):
            pool.join()
        elif pool.worker_ids:
            pool.kill(pool.worker_ids[event.number % len(pool.worker_ids)], event.notice_seconds)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, list | JobError | asyncio.CancelledError) for outcome in outcomes)
    return [result for outcome in outcomes if isinstance(outcome, list) for result in outcome]


@settings(max_examples=4 * settings().max_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(num_workers=st.integers(0, 4), wrong=st.booleans(), script=SCRIPTS)
def test_answers_are_exact_and_nothing_is_left(
    num_workers: int, wrong: bool, script: list[tuple[float, Post | Lose | Join]], counted: Counted
) -> None:
    counted.clear()

    async def main() -> None:
        pool = SimulatedPool(num_workers, ROOMY)
        pool.replacement_seconds = 3.0
        pool.is_wrong = lambda worker_id, segment: wrong and worker_id == "w0" and segment.start % 2 == 0
        for result in await play(pool, script):
            assert result.counts == [result.job.task.length] * result.job.task.num_lines
            assert_each_term_once(result.job, counted[result.job.job_id])
            assert sum(record.num_units for record in result.batches) <= sum(result.counts)
        await asyncio.sleep(10.0)
        assert_nothing_is_left(pool)
        assert pool.most_in_flight <= 3

    run_virtually(main())

"""What the timeline remembers, and tells those who ask; what an ingress that is watched makes of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from app.observe.frames import Frames, read_cursor
from app.observe.news import News, Since, Stage
from app.observe.timeline import HISTORY_SECONDS, MAX_BATCH_RECORDS, MAX_BATCHES, MAX_JOBS, Timeline
from app.observe.watching import FORGET_SECONDS, MOST_AT_ONCE, Gathered, Heard, Watching
from app.observer import BatchOutcome, EndedBatch, EndedJob, JobOutcome, RunningBatch, RunningJob
from app.status import PoolStatus
from harness.virtual_time import run_virtually
from tests.simulated_pool import SimulatedPool, job
from tests.tasks import job_of
from tests.unit.test_observer import Notes


@dataclass
class Shown:
    """Nothing, or what a test says."""

    running_batches: list[RunningBatch] = field(default_factory=list)
    running_jobs: list[RunningJob] = field(default_factory=list)


def batch(ended_at: float, worker_id: str = "w", caller: str = "") -> EndedBatch:
    """A batch of half a second."""
    asked = replace(job_of(10, job_id="j"), caller=caller)
    return EndedBatch(
        worker_id, "node", asked, 1, 10, 10, 1, BatchOutcome.OK, ended_at - 0.5, ended_at, 0.4, 0.1, 0.4, 0.4
    )


def ended(job_id: str = "j", caller: str = "") -> EndedJob:
    asked = replace(job_of(10, job_id=job_id), caller=caller)
    return EndedJob(asked, JobOutcome.CANCELLED, asyncio.CancelledError(), 1.0, 2.0, 3.0, None)


def told(timeline: Timeline, known: Mapping[str, Since] | None = None) -> News:
    return timeline.since(known or {}, Shown())


def after(news: News) -> dict[str, Since]:
    return {news.source: Since(news.batches_at, news.jobs_at)}


def test_the_first_news_go_back_a_minute_and_later_ones_to_the_last() -> None:
    now = 1000.0
    timeline = Timeline(clock=lambda: now)
    for at in (now - HISTORY_SECONDS - 1, now - 10, now - 5):
        timeline.batch_ended(batch(at))
    first = told(timeline)
    assert [each.ended_at for each in first.batches] == [now - 10, now - 5]
    timeline.batch_ended(batch(now - 1))
    assert [each.ended_at for each in told(timeline, after(first)).batches] == [now - 1]
    assert told(timeline, after(told(timeline))).batches == ()
    assert told(timeline, {"another": Since(0, 0)}).batches_at == 4


def test_memory_is_bounded_and_what_is_forgotten_is_told_by_number() -> None:
    timeline = Timeline(clock=lambda: 0.0)
    first = told(timeline)
    for _ in range(MAX_BATCHES + 5):
        timeline.batch_ended(batch(0.0))
    for _ in range(MAX_JOBS + 5):
        timeline.job_ended(ended())
    news = told(timeline, after(first))
    assert (len(news.batches), news.batches_at) == (MAX_BATCHES, MAX_BATCHES + 5)
    assert (len(news.jobs), news.jobs_at, news.totals.jobs) == (MAX_JOBS, MAX_JOBS + 5, MAX_JOBS + 5)


def test_the_oldest_jobs_lose_their_batches_first() -> None:
    async def main() -> None:
        notes = Notes()
        (result,) = await SimulatedPool(1, observer=notes).dispatcher.run(replace(job(0.1, 5), job_id="0"))
        (over,) = notes.jobs
        many = replace(result, batches=result.batches * 1000)
        number = MAX_BATCH_RECORDS // len(many.batches)
        timeline = Timeline()
        for i in range(number + 2):
            timeline.job_ended(over._replace(job=replace(over.job, job_id=str(i)), result=many))
        lengths = [len(story.batches) for i in range(number + 2) if (story := timeline.story(str(i), ""))]
        assert lengths == [0, 0] + [len(many.batches)] * number

    run_virtually(main())


def test_a_story_is_its_callers() -> None:
    timeline = Timeline()
    timeline.job_ended(ended("a", caller="alice"))
    assert timeline.story("a", "bob") is None
    story = timeline.story("a", "alice")
    assert story is not None
    assert (story.job.stage, story.job.problem) == (Stage.CANCELLED, "cancelled")
    assert story.shifted(100.0).job.ended_at == 102.0


class Others:
    """Dispatchers that answer when they are asked, by name; a test silences some."""

    def __init__(self, *names: str) -> None:
        self.timelines = {name: Timeline(clock=lambda: 50.0) for name in names}
        self.silent: set[str] = set()
        self.num_asked = 0

    async def gather(self, known: Mapping[str, Since]) -> Gathered:
        self.num_asked += 1
        now = asyncio.get_running_loop().time()
        answering = [timeline for name, timeline in self.timelines.items() if name not in self.silent]
        return Gathered([Heard(told(timeline, known), now) for timeline in answering])


async def no_pool() -> PoolStatus:
    return PoolStatus((), ())


def watching_of(others: Others) -> Watching:
    clock = asyncio.get_running_loop().time
    return Watching(others.gather, no_pool, clock, clock)


def test_all_are_gathered_and_their_clocks_are_put_right() -> None:
    async def main() -> None:
        others = Others("a", "b")
        watching = watching_of(others)
        for timeline in others.timelines.values():
            timeline.batch_ended(batch(48.0))  # two seconds ago
        with watching.watching():
            await watching.tick(0)
            frame = Frames(watching, {}).frame("", "")
        assert [frame["now"] - each[4] for each in frame["batches"]] == pytest.approx([2000, 2000], abs=0.2)

    run_virtually(main())


async def told_all(others: Others) -> str:
    """The cursor of one who has watched another ingress, and been told of a batch of each."""
    for timeline in others.timelines.values():
        timeline.batch_ended(batch(48.0))
    elsewhere = watching_of(others)
    with elsewhere.watching():
        await elsewhere.tick(0)
        cursor: str = Frames(elsewhere, {}).frame("", "")["cursor"]
    return cursor


def test_a_cursor_of_another_ingress_is_gone_on_with() -> None:
    async def main() -> None:
        others = Others("a", "b")
        cursor, there = await told_all(others), watching_of(others)
        others.timelines["b"].batch_ended(batch(49.0))
        with there.watching():
            await there.tick(0)
            frame = Frames(there, {}).frame(cursor, "")
        assert len(frame["batches"]) == 1
        assert frame["gap"] == 0

    run_virtually(main())


def test_a_cursor_keeps_what_was_told_of_one_who_is_late() -> None:
    async def main() -> None:
        others = Others("a", "b")
        cursor, there = await told_all(others), watching_of(others)
        others.silent.add("b")
        with there.watching():
            tick = await there.tick(0)
            cursor = Frames(there, {}).frame(cursor, "")["cursor"]
            others.silent.clear()
            await there.tick(tick)
            assert Frames(there, {}).frame(cursor, "")["batches"] == []

    run_virtually(main())


def test_after_the_clock_was_put_right_times_are_told_by_it() -> None:
    async def main() -> None:
        others = Others("a")
        wall = {"ahead": 0.0}
        clock = asyncio.get_running_loop().time
        watching = Watching(others.gather, no_pool, clock, lambda: clock() + wall["ahead"])
        with watching.watching():
            tick = await watching.tick(0)
            before = Frames(watching, {}).frame("", "")["now"]
            wall["ahead"] = 3600.0
            await watching.tick(tick)
            assert Frames(watching, {}).frame("", "")["now"] - before == pytest.approx(3_600_500, abs=100)

    run_virtually(main())


def test_what_was_forgotten_meanwhile_is_told_as_a_gap() -> None:
    async def main() -> None:
        others = Others("a")
        watching = watching_of(others)
        with watching.watching():
            tick = await watching.tick(0)
            cursor = Frames(watching, {}).frame("", "")["cursor"]
            for _ in range(MAX_BATCHES + 7):
                others.timelines["a"].batch_ended(batch(49.0))
            await watching.tick(tick)
            frame = Frames(watching, {}).frame(cursor, "")
        assert frame["gap"] == MAX_BATCHES + 7 - MOST_AT_ONCE
        assert frame["batches"] == []
        assert sum(row[4] for row in frame["density"]) == MOST_AT_ONCE

    run_virtually(main())


def test_who_does_not_answer_is_told_for_a_while_and_then_forgotten() -> None:
    async def main() -> None:
        others = Others("a", "b")
        watching = watching_of(others)
        with watching.watching():
            await watching.tick(0)
            others.silent.add("b")
            await asyncio.sleep(2)
            assert Frames(watching, {}).frame("", "")["silent"] == 1
            await asyncio.sleep(FORGET_SECONDS)
            assert Frames(watching, {}).frame("", "")["silent"] == 0
            assert len(watching.sources) == 1

    run_virtually(main())


def test_one_who_raises_does_not_end_it() -> None:
    async def main() -> None:
        others = Others("a")
        watching = watching_of(others)

        async def fail(known: Mapping[str, Since]) -> Gathered:
            raise RuntimeError("a bug")

        with watching.watching():
            tick = await watching.tick(0)
            watching._gather = fail
            tick = await watching.tick(tick)
            assert Frames(watching, {}).frame("", "")["silent"] == 1
            watching._gather = others.gather
            await watching.tick(tick)
            assert Frames(watching, {}).frame("", "")["silent"] == 0

    run_virtually(main())


def test_it_is_asked_twice_a_second_however_many_watch_and_not_at_all_when_nobody_does() -> None:
    async def main() -> None:
        others = Others("a")
        watching = watching_of(others)
        with watching.watching(), watching.watching(), watching.watching():
            await asyncio.sleep(10)
        assert 18 <= others.num_asked <= 21
        await asyncio.sleep(1)
        before = others.num_asked
        await asyncio.sleep(10)
        assert others.num_asked == before
        assert not watching.sources

    run_virtually(main())


@pytest.mark.parametrize("cursor", ["", "x", "0" * 12, "0" * 12 + ":-1:1", "," * 100, "é" * 12 + ":1:1"])
def test_what_is_no_cursor_tells_nothing(cursor: str) -> None:
    assert read_cursor(cursor) == {}


def test_a_cursor_names_only_so_many_sources() -> None:
    assert len(read_cursor(",".join(f"{i:012x}:1:1" for i in range(500)))) == 64

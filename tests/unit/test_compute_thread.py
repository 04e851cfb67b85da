"""The compute thread: off the event loop, in turns, and free again soon after whoever it computed for has left."""

import asyncio
import itertools
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import pytest

from app.compute import thread, turns
from app.compute.slices import compute
from app.compute.thread import Computed, ComputeThread, Results
from app.job import Segment
from harness import bounds
from tests.tasks import segment

Slices = Generator[None, None, Results]

SHORT = segment(0, 1_000)
ENDLESS = segment(0, 10_000_000)
"""Minutes of computing."""


def finish(slices: Slices) -> Results:
    while True:
        try:
            next(slices)
        except StopIteration as end:
            results: Results = end.value
            return results


def without_times(results: Results) -> Results:
    return tuple(replace(result, compute_seconds=0.0) for result in results)


def in_time(seconds: float = 20.0) -> asyncio.Timeout:
    """A deadline, so that a thread that never answers fails one test instead of holding up all."""
    return asyncio.timeout(seconds)


async def cancel(task: "asyncio.Task[Computed]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "segments",
    [[], [SHORT], [segment(0, 0, 3)], [segment(70_000, 90_000), segment(0, 30_000, 2)]],
    ids=["nothing", "less than a slice", "empty sequences", "several slices"],
)
def test_the_results_are_those_of_compute(segments: list[Segment]) -> None:
    async def main() -> None:
        async with in_time():
            computed = await ComputeThread().run(segments)
        assert without_times(computed.segments) == without_times(finish(compute(segments)))

    asyncio.run(main())


def test_what_a_slice_computes_is_what_is_counted() -> None:
    async def main() -> None:
        async with in_time():
            (result,), cpu_seconds = await ComputeThread().run([segment(0, 30_000)])
        assert result.compute_seconds > 0
        assert cpu_seconds > 0

    asyncio.run(main())


def test_the_cpu_time_of_all_of_a_callers_slices_is_counted_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_time = itertools.count()  # a second from one look to the next

    def slices(segments: Sequence[Segment]) -> Slices:
        for _ in range(segments[0].stop):
            yield
        return ()

    async def main() -> None:
        thread = ComputeThread()
        async with in_time():
            computed = await asyncio.gather(*(thread.run([segment(0, stop)]) for stop in (300, 70, 0)))
        assert [one.cpu_seconds for one in computed] == [301, 71, 1]

    monkeypatch.setattr(thread, "compute", slices)
    monkeypatch.setattr("time.thread_time", lambda: float(next(cpu_time)))
    asyncio.run(main())


def test_a_short_one_is_done_long_before_a_long_one_that_began_first() -> None:
    async def main() -> None:
        thread = ComputeThread()
        long = asyncio.create_task(thread.run([ENDLESS]))
        await asyncio.sleep(0)
        async with in_time():
            (result,), _ = await thread.run([SHORT])
        assert result.num_units == 1_000
        assert not long.done()
        await cancel(long)

    asyncio.run(main())


def slices_taken(monkeypatch: pytest.MonkeyPatch, *callers: int) -> list[int]:
    """Whose slice each was, if callers that want so many slices are all there from the start."""
    all_wait = threading.Event()
    taken: list[int] = []

    def slices(segments: Sequence[Segment]) -> Slices:
        """As many slices as the segment has terms; the first waits until all callers are there."""
        all_wait.wait(20.0)
        for _ in range(segments[0].stop):
            taken.append(segments[0].stop)
            yield
        return ()

    async def main() -> None:
        thread = ComputeThread()
        tasks = [asyncio.create_task(thread.run([segment(0, stop)], short=True)) for stop in callers]
        await asyncio.sleep(0)
        all_wait.set()
        async with in_time():
            await asyncio.gather(*tasks)

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())
    return taken


def test_callers_take_a_long_turn_first_and_shorter_ones_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "EXPRESS_SLICES", 1)
    monkeypatch.setattr(turns, "SLICES_OF_THE_FIRST_TURN", 3)
    monkeypatch.setattr(turns, "SLICES_A_TURN", 2)
    new = [10, 10, 5]  # the second new one has to let one go on
    assert slices_taken(monkeypatch, 10, 5) == [*new, 10, 10, 5, 5, 5, 10, 10, 5, 10, 10, 10, 10]


def test_a_newcomer_of_a_few_slices_does_not_wait_for_anybodys_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    few = turns.EXPRESS_SLICES
    taken = slices_taken(monkeypatch, 500, few)
    last = len(taken) - 1 - taken[::-1].index(few)
    assert last <= 2 * few + 1


def test_newcomers_go_first_but_take_at_most_every_other_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = {1: threading.Event(), 20: threading.Event()}
    paused = threading.Event()
    taken: list[int] = []

    def slices(segments: Sequence[Segment]) -> Slices:
        """As many slices as the segment has terms; the 1st and 20th of all wait until they may go on."""
        for _ in range(segments[0].stop):
            taken.append(segments[0].stop)
            if len(taken) == 20:
                paused.set()
            if event := go_on.get(len(taken)):
                event.wait(20.0)
            if segments[0].stop == 1:
                break  # a short one is done within its first
            yield
        return ()

    async def main() -> None:
        thread = ComputeThread()
        long = [asyncio.create_task(thread.run([segment(0, 50)])) for _ in range(3)]
        await asyncio.sleep(0)
        go_on[1].set()
        await asyncio.to_thread(paused.wait, 20.0)
        new = [asyncio.create_task(thread.run([segment(0, 1)])) for _ in range(5)]
        await asyncio.sleep(0)
        go_on[20].set()
        async with in_time():
            await asyncio.gather(*long, *new)

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())
    assert 1 not in taken[:20]
    assert taken[20:30] == [1, 50] * 5


def test_the_event_loop_runs_while_the_thread_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_round = threading.Event()

    def slices(_: Sequence[Segment]) -> Slices:
        yield
        assert looked_round.wait(20.0), "the event loop stood still"
        return ()

    async def main() -> None:
        computing = asyncio.create_task(ComputeThread().run([SHORT]))
        await asyncio.sleep(0)
        looked_round.set()
        assert (await computing).segments == ()

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())


def test_a_cancelled_one_gets_no_slice_after_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    num_slices = 0

    def slices(segments: Sequence[Segment]) -> Slices:
        nonlocal num_slices
        while segments:
            num_slices += 1
            yield
        return ()

    async def main() -> None:
        thread = ComputeThread()
        endless = asyncio.create_task(thread.run([ENDLESS]))
        await asyncio.sleep(0)
        async with in_time():
            await thread.run([])  # a turn of another: the endless one has had its first
            assert num_slices > 0
            await cancel(endless)
            num_slices_then = num_slices
            for _ in range(10):  # turns in which it would have had more
                await thread.run([])
        assert num_slices <= num_slices_then + 1

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())


@pytest.mark.parametrize(
    "segment",
    [segment(9_900_000, 10_000_000), segment(9_999_999, 10_000_000, 1_000)],
    ids=["adding", "seeding and checking"],
)
def test_the_thread_is_idle_soon_after_a_cancellation_far_out(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        before = set(threading.enumerate())
        computing = ComputeThread()
        (thread,) = set(threading.enumerate()) - before
        assert thread.ident is not None
        cpu_clock = time.pthread_getcpuclockid(thread.ident)
        run = asyncio.create_task(computing.run([segment]))
        async with in_time():
            for _ in range(15):  # warm
                await computing.run([])
            await cancel(run)
            cancelled_at = time.clock_gettime(cpu_clock)
            for _ in range(50):  # turns in which it would have had more
                await computing.run([])
        # By the thread's own clock: what else runs on this machine does not count.
        assert time.clock_gettime(cpu_clock) - cancelled_at < bounds.WORKER_STOPS

    monkeypatch.setattr("os.nice", lambda _: 0)  # or beside other tests it would wait for seconds
    asyncio.run(main())


def test_one_that_is_cancelled_before_its_turn_is_never_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    begun: list[int] = []

    def slices(segments: Sequence[Segment]) -> Slices:
        begun.append(len(segments))
        go_on.wait(20.0)
        yield
        return ()

    async def main() -> None:
        thread = ComputeThread()
        first = asyncio.create_task(thread.run([SHORT]))
        await asyncio.sleep(0)
        second = asyncio.create_task(thread.run([SHORT] * 2))
        await asyncio.sleep(0)
        await cancel(second)
        go_on.set()
        async with in_time():
            await first
            await thread.run([SHORT] * 3)

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())
    assert begun == [1, 3]


@pytest.mark.parametrize("num_slices", [0, 2])
def test_an_exception_is_raised_where_it_is_awaited_and_the_thread_lives_on(
    monkeypatch: pytest.MonkeyPatch, num_slices: int
) -> None:
    def slices(segments: Sequence[Segment]) -> Slices:
        for _ in range(num_slices):
            yield
        if ENDLESS in segments:
            raise ArithmeticError("no such term")
        return ()

    async def main() -> None:
        thread = ComputeThread()
        async with in_time():
            wrong, right = await asyncio.gather(thread.run([ENDLESS]), thread.run([SHORT]), return_exceptions=True)
            assert isinstance(wrong, ArithmeticError)
            assert isinstance(right, Computed)
            assert (await thread.run([SHORT])).segments == ()

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())


def test_the_thread_is_a_daemon_and_does_not_hold_up_the_end_of_the_process() -> None:
    before = set(threading.enumerate())
    ComputeThread()
    (thread,) = set(threading.enumerate()) - before
    assert (thread.name, thread.daemon) == ("compute", True)

"""The dispatcher as a state machine: any order of jobs, answers, losses, cancellations, time-outs, joins and leaves.

What is asserted is what can be seen from outside; the looks inside are ``in_flight_by_its_own_count``,
``segments_are_counted`` and ``sums_over_the_batches_are_right``.
"""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.dispatcher import Dispatcher
from app.errors import ComputationError, DrainingError, JobError
from app.flights import LATE_SECONDS, PROBE_SECONDS, SHORT_SECONDS
from app.job import Execution, Job, JobResult, Segment, SegmentResult
from app.pool import MAX_IN_FLIGHT, MAX_IN_FLIGHT_EXPRESS
from app.progress import Progress
from app.settings import Settings
from tests.unit.manual_pool import Call, ManualPool
from tests.unit.test_dispatcher_properties import Counted, assert_each_term_once
from tests.virtual_time import VirtualTimeLoop

SETTINGS = Settings(max_queued_jobs=20, max_queued_seconds=10, worker_wait_seconds=20, max_timeout_seconds=120)
JOBS = st.builds(
    Job,
    st.just(""),
    st.sampled_from([0, 1, 700, 30_000, 100_000, 250_000, 400_000]),  # numbers of its own choice are mostly small
    st.sampled_from([1, 1, 2, 8, 40]),
    st.sampled_from([Execution.DISTRIBUTED, Execution.DISTRIBUTED, Execution.LOCAL]),
    st.sampled_from(["", "a", "b"]),
)
ANY = st.integers(0, 1_000)
"""Picks one of those that there are."""

Task = asyncio.Task[list[JobResult]]

COUNTED: Counted = defaultdict(list)
"""The segments that were counted for each job, by its id."""


def in_flight_by_its_own_count(dispatcher: Dispatcher) -> dict[str, int]:
    """How many batches the dispatcher believes to be on each worker of its pool."""
    return {worker_id: worker.in_flight for worker_id, worker in dispatcher._scheduler._pool._workers.items()}


@pytest.fixture(autouse=True)
def segments_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills ``COUNTED``."""
    count = Progress._count

    def spy(progress: Progress, segment: Segment, done: SegmentResult, sequence: int) -> None:
        COUNTED[progress.job.job_id].append((sequence, segment))
        count(progress, segment, done, sequence)

    monkeypatch.setattr(Progress, "_count", spy)


class DispatcherMachine(RuleBasedStateMachine):
    """Every rule is something that may happen; nothing happens between two rules but what follows at once."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.unfinished: list[Task] = []
        self.num_harms = 0
        self.all_as_predicted = True
        self.job_ids = map(str, itertools.count())
        COUNTED.clear()

    @initialize(num_workers=st.integers(0, 4))
    def start(self, num_workers: int) -> None:
        async def start() -> None:
            self.pool = ManualPool(SETTINGS)
            for _ in range(num_workers):
                self.pool.join()

        self.loop.run_until_complete(start())

    def do(self, action: Callable[[], object], seconds: float = 1e-9) -> None:
        """The action, what follows from it at once, and what happens in the next ``seconds``."""

        async def act() -> None:
            action()
            await asyncio.sleep(seconds)

        self.loop.run_until_complete(act())

    # Callers

    @rule(jobs=st.lists(JOBS, min_size=1, max_size=2), timeout=st.one_of(st.none(), st.none(), st.floats(0.001, 100)))
    def submit(self, jobs: list[Job], timeout: float | None) -> None:
        jobs = [replace(job, job_id=next(self.job_ids), caller=jobs[0].caller) for job in jobs]
        running = self.pool.dispatcher.run(*jobs, timeout_seconds=timeout)
        self.do(lambda: self.unfinished.append(self.loop.create_task(running)))

    @precondition(lambda self: self.unfinished)
    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        task = self.unfinished.pop(which % len(self.unfinished))
        self.do(task.cancel)
        assert task.cancelled()

    @rule(job=JOBS)
    def submit_while_it_drains(self, job: Job) -> None:
        self.pool.dispatcher.draining = True
        task = self.loop.create_task(self.pool.dispatcher.run(job))
        self.do(lambda: None)
        assert isinstance(task.exception(), DrainingError)
        self.pool.dispatcher.draining = False

    # Workers

    @rule()
    def join(self) -> None:
        self.do(self.pool.join)

    @precondition(lambda self: self.pool.worker_ids)
    @rule(which=ANY, dies=st.booleans(), is_announced=st.booleans())
    def leave(self, which: int, dies: bool, is_announced: bool) -> None:
        """A worker leaves, with what is on it or after it has ended that; the dispatcher hears of it, or not yet."""
        worker_id = self.pool.worker_ids.pop(which % len(self.pool.worker_ids))
        if is_announced:
            self.do(self.pool.announce)
        if dies:
            self.num_harms += 1
            self.do(lambda: self.pool.lose_all_on(worker_id))

    @rule()
    def announce(self) -> None:
        self.do(self.pool.announce)

    # Answers

    def answer(self, which: int, how: Callable[[Call], object]) -> None:
        call = self.pool.calls[which % len(self.pool.calls)]
        self.do(lambda: how(call))

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, slowness=st.sampled_from([0.5, 1.0, 1.0, 3.0]))
    def finish(self, which: int, slowness: float) -> None:
        self.all_as_predicted &= slowness == 1.0
        self.answer(which, lambda call: call.succeed(slowness))

    @precondition(lambda self: self.pool.calls)
    @rule()
    def finish_all(self) -> None:
        self.do(self.pool.succeed_all)

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, was_running=st.booleans())
    def lose(self, which: int, was_running: bool) -> None:
        self.num_harms += 1
        self.answer(which, lambda call: call.lose(was_running=was_running))

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, segment=ANY)
    def answer_wrongly(self, which: int, segment: int) -> None:
        self.num_harms += 1
        self.answer(which, lambda call: call.err(segment))

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, how=st.sampled_from([Call.fail, Call.truncate]))
    def answer_badly(self, which: int, how: Callable[[Call], None]) -> None:
        self.num_harms += 1
        self.answer(which, how)

    @rule(seconds=st.sampled_from([0.001, 0.001, 0.1, 0.1, 1.0, 6.0, 30.0, 130.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.do(lambda: None, seconds)
        self.all_as_predicted &= not any(map(self.may_be_late, self.pool.calls))

    # What always holds

    @invariant()
    def what_is_answered_is_right(self) -> None:
        for task in [task for task in self.unfinished if task.done()]:
            self.unfinished.remove(task)
            error = task.exception()
            assert error is None or isinstance(error, JobError), error
            assert not isinstance(error, ComputationError) or self.num_harms >= 2
            for result in [] if error else task.result():
                job = result.job
                assert_each_term_once(job, COUNTED[job.job_id])
                assert result.sizes == [job.sequence_size] * job.num_sequences
                assert sum(record.num_terms for record in result.batches) <= sum(result.sizes)
                assert (result.last_term is None) == (job.sequence_size == 0)

    @invariant()
    def who_is_not_answered_is_held_and_nobody_else(self) -> None:
        dispatcher = self.pool.dispatcher
        assert dispatcher.num_queued_jobs <= dispatcher.num_unfinished_jobs
        assert (dispatcher.num_unfinished_jobs > 0) == bool(self.unfinished)
        assert len(self.unfinished) <= dispatcher.num_unfinished_jobs <= 2 * len(self.unfinished)
        assert dispatcher.drain_seconds >= 0
        assert self.unfinished or dispatcher.drain_seconds == 0

    @invariant()
    def no_worker_holds_more_than_it_may_and_none_is_forgotten(self) -> None:
        in_flight = self.pool.in_flight
        for worker_id, count in in_flight_by_its_own_count(self.pool.dispatcher).items():
            assert in_flight[worker_id] == count <= MAX_IN_FLIGHT_EXPRESS

    @invariant()
    def sums_over_the_batches_are_right(self) -> None:
        flights = self.pool.dispatcher._scheduler._flights
        in_time = [flight for flight in flights if not flight.late]
        assert flights.num_short == sum(flight.short for flight in in_time)
        assert flights.seconds == pytest.approx(sum(flight.seconds for flight in in_time), abs=1e-9)

    @invariant()
    def no_job_waits_beside_an_idle_worker(self) -> None:
        scheduler = self.pool.dispatcher._scheduler
        assert not scheduler.num_waiting or scheduler._pool.with_room(1) is None

    @invariant()
    def no_retry_waits_for_a_worker_that_stands_still(self) -> None:
        awaited = self.pool.dispatcher._scheduler._pool._awaited
        assert awaited is None or not awaited.suspended

    @invariant()
    def of_long_batches_it_may_hold_fewer(self) -> None:
        """Nothing was lost and the predictions are right: so who is long is known here as well as there."""
        if self.all_as_predicted and not self.num_harms:
            long = Counter(call.worker_id for call in self.pool.calls if call.predicted_seconds > 2 * SHORT_SECONDS)
            assert max(long.values(), default=0) <= MAX_IN_FLIGHT

    @invariant()
    def nobody_computes_for_nobody(self) -> None:
        """But a late batch that is not long may go on: it tells when its worker is back."""
        if not self.unfinished:
            assert all(
                self.may_be_late(call) and call.predicted_seconds <= 2 * PROBE_SECONDS for call in self.pool.calls
            )

    def may_be_late(self, call: Call) -> bool:
        return self.loop.time() - call.sent_at > LATE_SECONDS

    def teardown(self) -> None:
        """Once it drains and the workers behave, everything comes to an end."""
        try:
            if hasattr(self, "pool"):
                self.end()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(1e-9))
            self.loop.close()

    def end(self) -> None:
        self.pool.dispatcher.draining = True
        self.do(self.pool.join)
        for _ in range(1_000):
            self.what_is_answered_is_right()
            if not self.unfinished:
                break
            self.do(self.pool.succeed_all, 0.1)
        assert not self.unfinished
        self.do(self.pool.succeed_all)
        self.who_is_not_answered_is_held_and_nobody_else()
        self.no_worker_holds_more_than_it_may_and_none_is_forgotten()
        assert not self.pool.calls


TestDispatcher = DispatcherMachine.TestCase
TestDispatcher.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40)

"""The dispatcher as a state machine: any order of jobs, answers, losses, cancellations, time-outs, joins and leaves.

What is asserted is what can be seen from outside, but only the dispatcher knows whose the segments on a worker are,
when they are late, and which workers it leaves alone: for these the machine looks inside.
"""

import asyncio
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.dispatcher import Dispatcher
from app.errors import ComputationError, DeadlineError, DrainingError, NoWorkerError, RefusedError
from app.flights import LATE_SECONDS, PROBE_SECONDS, SHORT_SECONDS, Flight
from app.job import Execution, Job, JobResult, Segment, SegmentResult
from app.pool import MAX_IN_FLIGHT, MAX_IN_FLIGHT_EXPRESS, MAX_LONG_IN_FLIGHT, Worker
from app.progress import Piece, Progress
from app.settings import Settings
from app.watch import WATCH_SECONDS
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
TIMEOUTS = st.one_of(st.none(), st.none(), st.floats(0.001, 3), st.floats(3, 100))
ANY = st.integers(0, 1_000)
"""Picks one of those that there are."""

MOMENT = 1e-8
"""Seconds: the loop's clock tells them from none, and nothing here is as short."""
ROUNDING = 1e-6
"""Seconds: more than all moments together, and than a sum is wrong by."""

Part = tuple[str, int, Segment]
"""One segment of a job: the job's id, the sequence in which the segment begins, the segment."""

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
        assert done.verified
        COUNTED[progress.job.job_id].append((sequence, segment))
        count(progress, segment, done, sequence)

    monkeypatch.setattr(Progress, "_count", spy)


@dataclass(eq=False, slots=True)
class Asked:
    """One call of ``Dispatcher.run``: its jobs have one deadline."""

    jobs: list[Job]
    asked_at: float
    give_up_at: float
    task: asyncio.Task[list[JobResult]]
    answered_at: float = math.nan


def parts_of(piece: Piece) -> Iterator[Part]:
    """The piece's segments, which the worker's answer names in this order."""
    sequence, job = piece.first_sequence, piece.progress.job
    for segment in piece.segments:
        yield job.job_id, sequence, segment
        sequence += segment.count if segment.stop == job.sequence_size else 0


class DispatcherMachine(RuleBasedStateMachine):
    """Every rule is something that may happen; nothing happens between two rules but what follows at once."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.unfinished: list[Asked] = []
        self.usable_at = 0.0
        """When there last was a worker that was not left alone, as far as it was looked for."""
        self.num_harms = 0
        self.harms: Counter[Part] = Counter()
        self.failed_checks: Counter[Part] = Counter()
        self.doomed: set[str] = set()
        """Ids of the jobs that can only fail: a part of them has met with too much."""
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

    def do(self, action: Callable[[], object], seconds: float = 0.0) -> None:
        """The action, what happens in the next ``seconds``, and what follows at once from it all."""

        if self.usable_workers():
            self.usable_at = self.loop.time()

        async def act() -> None:
            action()
            await asyncio.sleep(seconds)
            await asyncio.sleep(MOMENT)

        self.loop.run_until_complete(act())

    # Callers

    @rule(jobs=st.lists(JOBS, min_size=1, max_size=2), timeout=TIMEOUTS)
    def submit(self, jobs: list[Job], timeout: float | None) -> None:
        jobs = [replace(job, job_id=next(self.job_ids), caller=jobs[0].caller) for job in jobs]
        task = self.loop.create_task(self.pool.dispatcher.run(*jobs, timeout_seconds=timeout))
        now = self.loop.time()
        asked = Asked(jobs, now, now + (timeout or SETTINGS.max_timeout_seconds), task)
        task.add_done_callback(lambda _: setattr(asked, "answered_at", self.loop.time()))
        self.unfinished.append(asked)
        self.do(lambda: None)

    @precondition(lambda self: self.unfinished)
    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        task = self.unfinished.pop(which % len(self.unfinished)).task
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
            for call in self.pool.calls:
                if call.worker_id == worker_id:
                    self.note_loss(call)
            self.do(lambda: self.pool.lose_all_on(worker_id))

    @rule()
    def announce(self) -> None:
        self.do(self.pool.announce)

    # Answers

    def call(self, which: int) -> Call:
        return self.pool.calls[which % len(self.pool.calls)]

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, slowness=st.sampled_from([0.5, 1.0, 1.0, 3.0]))
    def finish(self, which: int, slowness: float) -> None:
        self.all_as_predicted &= slowness == 1.0
        call = self.call(which)
        self.do(lambda: call.succeed(slowness))

    @precondition(lambda self: self.pool.calls)
    @rule()
    def finish_all(self) -> None:
        self.do(self.pool.succeed_all)

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, was_running=st.booleans())
    def lose(self, which: int, was_running: bool) -> None:
        call = self.call(which)
        self.note_loss(call, was_running=was_running)
        self.do(lambda: call.lose(was_running=was_running))

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, was_running=st.booleans())
    def lose_again_and_again(self, which: int, was_running: bool) -> None:
        """It is the batch that loses its workers: so does the next one that has it, though there are new ones."""
        (piece, *_) = self.flight_of(self.call(which)).pieces
        for _ in range(3):
            for call in [call for call in self.pool.calls if piece in self.flight_of(call).pieces][-1:]:
                self.note_loss(call, was_running=was_running)
                self.do(partial(call.lose, was_running=was_running))
                self.do(self.pool.join)

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, how=st.sampled_from([Call.fail, Call.truncate]))
    def answer_badly(self, which: int, how: Callable[[Call], None]) -> None:
        call = self.call(which)
        self.note_loss(call)
        self.do(lambda: how(call))

    def note_loss(self, call: Call, *, was_running: bool = True) -> None:
        """The third harm to a part ends its job, unless another worker has returned the part in the meantime."""
        self.num_harms += 1
        for piece in self.flight_of(call).pieces if was_running else []:
            for part in parts_of(piece) if piece.wanted else []:
                self.harms[part] += 1
                if self.harms[part] >= 3:
                    self.doomed.add(part[0])

    @precondition(lambda self: self.pool.calls)
    @rule(which=ANY, segment=ANY)
    def answer_wrongly(self, which: int, segment: int) -> None:
        """The second failed check of a part ends its job; but of two answers only the first is looked at."""
        self.num_harms += 1
        call = self.call(which)
        parts = [(piece, part) for piece in self.flight_of(call).pieces for part in parts_of(piece)]
        piece, part = parts[segment % len(parts)]
        if piece.wanted:
            self.harms[part] += 1
            self.failed_checks[part] += 1
            if self.failed_checks[part] == 2:
                self.doomed.add(part[0])
        self.do(lambda: call.err(segment))

    @precondition(lambda self: self.pool.probes)
    @rule(which=ANY, lives=st.booleans())
    def answer_probe(self, which: int, lives: bool) -> None:
        """A worker that is late with something shows that it lives, or that it does not."""
        probe = self.pool.probes[which % len(self.pool.probes)]
        self.do(probe.succeed if lives else probe.lose)

    @rule(seconds=st.sampled_from([0.001, 0.001, 0.1, 0.1, 1.0, 6.0, 30.0, 130.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.do(lambda: None, seconds)
        self.all_as_predicted &= not any(map(self.may_be_late, self.pool.calls))

    # Looks inside

    @property
    def flights(self) -> list[Flight]:
        return list(self.pool.dispatcher._scheduler._flights)

    def flight_of(self, call: Call) -> Flight:
        return next(flight for flight in self.flights if flight.batch is call.batch)

    def usable_workers(self) -> list[Worker]:
        workers = self.pool.dispatcher._scheduler._pool._workers.values()
        return [worker for worker in workers if not worker.suspended]

    def idle_workers(self) -> set[str]:
        return {worker.worker_id for worker in self.usable_workers() if not worker.in_flight}

    # What always holds

    @invariant()
    def what_is_answered_is_right(self) -> None:
        for asked in [asked for asked in self.unfinished if asked.task.done()]:
            self.unfinished.remove(asked)
            error = asked.task.exception()
            assert asked.answered_at <= asked.give_up_at + ROUNDING
            assert not self.is_doomed(asked) or isinstance(error, ComputationError)
            match error:
                case None:
                    for result in asked.task.result():
                        self.check(result)
                case RefusedError():
                    assert asked.answered_at == asked.asked_at
                case NoWorkerError():
                    assert asked.answered_at >= self.usable_at + SETTINGS.worker_wait_seconds - ROUNDING
                case DeadlineError():
                    assert asked.answered_at == pytest.approx(asked.give_up_at, abs=ROUNDING)
                case ComputationError():
                    assert self.is_doomed(asked) or self.most_harms(asked) >= 3
                case _:
                    raise AssertionError(error)

    def check(self, result: JobResult) -> None:
        job = result.job
        assert_each_term_once(job, COUNTED[job.job_id])
        assert result.sizes == [job.sequence_size] * job.num_sequences
        assert sum(record.num_terms for record in result.batches) <= sum(result.sizes)
        assert (result.last_term is None) == (job.sequence_size == 0)

    def is_doomed(self, asked: Asked) -> bool:
        return any(job.job_id in self.doomed for job in asked.jobs)

    def most_harms(self, asked: Asked) -> int:
        job_ids = {job.job_id for job in asked.jobs}
        return max((count for part, count in self.harms.items() if part[0] in job_ids), default=0)

    @invariant()
    def nobody_waits_longer_than_there_is_hope(self) -> None:
        for asked in [asked for asked in self.unfinished if not asked.task.done()]:
            assert not self.is_doomed(asked)
            assert self.loop.time() <= asked.give_up_at + ROUNDING

    @invariant()
    def what_is_late_is_computed_elsewhere_or_next_in_turn(self) -> None:
        now = self.loop.time()
        late = [flight for flight in self.flights if now > flight.due_at + WATCH_SECONDS + ROUNDING]
        elsewhere = {piece for flight in self.flights if flight not in late for piece in flight.pieces}
        elsewhere |= set(self.pool.dispatcher._scheduler._retries)
        assert all(piece in elsewhere for flight in late for piece in flight.pieces if piece.wanted)

    @invariant()
    def what_goes_again_does_not_wait_beside_an_idle_worker(self) -> None:
        """Other than the one that failed at it. What only an unwanted piece is in the way of may wait for the watch."""
        retries = self.pool.dispatcher._scheduler._retries
        if retries and retries[0].wanted:
            assert self.idle_workers() <= {retries[0].shunned_worker_id}

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
            assert in_flight[worker_id] == count
        long = Counter(flight.worker.worker_id for flight in self.flights if flight.long)
        others = Counter(flight.worker.worker_id for flight in self.flights if not flight.long)
        assert max(long.values(), default=0) <= MAX_LONG_IN_FLIGHT
        assert max(others.values(), default=0) <= MAX_IN_FLIGHT_EXPRESS

    @invariant()
    def sums_over_the_batches_are_right(self) -> None:
        flights = self.pool.dispatcher._scheduler._flights
        in_time = [flight for flight in flights if not flight.late]
        assert flights.num_short == sum(flight.short for flight in in_time)
        assert flights.seconds == pytest.approx(sum(flight.seconds for flight in in_time), abs=1e-9)

    @invariant()
    def no_job_waits_beside_an_idle_worker(self) -> None:
        assert not self.pool.dispatcher.num_queued_jobs or not self.idle_workers()

    @invariant()
    def no_retry_waits_for_a_worker_that_stands_still(self) -> None:
        awaited = self.pool.dispatcher._scheduler._pool._awaited
        assert awaited is None or not awaited.suspended

    @invariant()
    def of_batches_that_are_not_short_it_may_hold_fewer(self) -> None:
        """Nothing was lost and the predictions are right: so who is short is known here as well as there."""
        if self.all_as_predicted and not self.num_harms:
            not_short = [call for call in self.pool.calls if call.predicted_seconds > 2 * SHORT_SECONDS]
            full = Counter(call.worker_id for call in not_short if not self.flight_of(call).long)
            assert max(full.values(), default=0) <= MAX_IN_FLIGHT

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
            self.loop.run_until_complete(asyncio.sleep(MOMENT))
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

"""The dispatcher as a state machine over simulated workers: any order of jobs, answers, losses, joins and leaves.

Workers also freeze, are cut off (calls hang) or cannot be reached (calls fail at once) while they are still listed.
What is asserted is what can be seen from outside, but only the dispatcher knows whose the segments on a worker are, and
when they are late: for these the machine looks inside.
"""

import asyncio
import functools
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.dispatch.dispatcher import Dispatcher
from app.dispatch.in_flight import LATE_SECONDS, Flight
from app.dispatch.pool import Worker
from app.dispatch.watch import WATCH_SECONDS
from app.errors import ComputationError, DeadlineError, DrainingError, NoWorkerError, RefusedError, WorkerLostError
from app.job import Batch, BatchResult, Execution, Job, JobResult, Segment, SegmentResult
from app.kernel import Part
from app.kernels.fibonacci.task import FibonacciTask
from app.queue.lanes import MAX_FULL, MAX_FULL_AND_EXPRESS, MAX_LONG, SHORT_SECONDS, Lane
from app.queue.live_job import LiveJob, Piece
from app.settings import Settings
from harness.simulated_worker import COST
from harness.virtual_time import VirtualTimeLoop
from tests.simulated_pool import Call, SimulatedPool, job
from tests.tasks import OtherTask
from tests.unit.test_dispatcher_properties import Counted, assert_each_term_once

SETTINGS = Settings(max_queued_jobs=20, max_queued_seconds=10, worker_wait_seconds=20, max_timeout_seconds=120)
JOBS = st.builds(
    Job,
    st.just(""),
    st.builds(
        lambda kernel, *shape: kernel(*shape),
        st.sampled_from([FibonacciTask, FibonacciTask, OtherTask]),
        st.sampled_from([0, 1, 700, 30_000, 100_000, 250_000, 400_000]),  # numbers of its own choice are mostly small
        st.sampled_from([1, 1, 2, 8, 20]),
    ),
    st.sampled_from([Execution.DISTRIBUTED, Execution.DISTRIBUTED, Execution.LOCAL]),
    st.sampled_from(["", "a", "b"]),
)
TIMEOUTS = st.one_of(st.none(), st.none(), st.floats(0.001, 3), st.floats(3, 100))
ANY = st.integers(0, 1_000)
"""Picks one of those that there are."""
TINY_CALLERS, CALLERS = 32, 6
"""In a stream: of express jobs, of which at any moment one is to wait for its first slice, and of others."""

MOMENT = 1e-8
"""Seconds: the loop's clock tells them from none, and nothing here is as short."""
ROUNDING = 1e-6
"""Seconds: more than all moments together, and than a sum is wrong by."""

JobPart = tuple[str, int, Segment]
"""One segment of a job: the job's id, the line in which the segment begins, the segment."""

COUNTED: Counted = defaultdict(list)
"""The segments that were counted for each job, by its id."""


def in_flight_by_its_own_count(dispatcher: Dispatcher) -> dict[str, int]:
    """How many batches the dispatcher believes to be on each worker of its pool."""
    return {worker.worker_id: worker.in_flight for worker in dispatcher._scheduler._pool}


@pytest.fixture(autouse=True)
def segments_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills ``COUNTED``."""
    count = LiveJob._count

    def spy(live_job: LiveJob, segment: Segment, done: SegmentResult, line: int) -> None:
        assert done.verified
        COUNTED[live_job.job.job_id].append((line, segment))
        count(live_job, segment, done, line)

    monkeypatch.setattr(LiveJob, "_count", spy)


@dataclass(eq=False, slots=True)
class Asked:
    """One call of ``Dispatcher.run``: its jobs have one deadline."""

    jobs: list[Job]
    asked_at: float
    give_up_at: float
    task: asyncio.Task[list[JobResult]]
    answered_at: float = math.nan


class WatchedPool(SimulatedPool):
    """Notes what was lost, who was heard when, and what was sent to a worker that nobody could trust."""

    def __init__(
        self, settings: Settings, on_loss: Callable[[Batch, bool], None], may_have: Callable[[str], bool]
    ) -> None:
        self.heard_at: dict[str, float] = {}
        self.lost_at = -math.inf
        """When a batch was lost last, on any worker."""
        self.mistrusted: list[tuple[float, str]] = []
        self._on_loss = on_loss
        self._may_have = may_have
        super().__init__(0, settings)

    async def run_batch(self, worker_id: str, batch: Batch) -> BatchResult:
        """``app.job.RunBatch``."""
        if batch.segments and not self._may_have(worker_id):
            self.mistrusted.append((self._loop.time(), worker_id))
        try:
            result = await super().run_batch(worker_id, batch)
        except WorkerLostError as error:
            if batch.segments:
                self.lost_at = self._loop.time()
                self._on_loss(batch, error.was_running)
            raise
        except RuntimeError:
            self._on_loss(batch, True)
            self.heard_at[worker_id] = self._loop.time()
            raise
        self.heard_at[worker_id] = self._loop.time()
        return result


def parts_of(piece: Piece) -> Iterator[JobPart]:
    """The piece's segments, which the worker's answer names in this order."""
    line, job = piece.first_line, piece.live_job.job
    for segment in piece.segments:
        yield job.job_id, line, segment
        line += segment.count if segment.stop == job.task.length else 0


class DispatcherMachine(RuleBasedStateMachine):
    """Every rule is something that may happen; nothing happens between two rules but what follows at once."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.unfinished: list[Asked] = []
        self.trusted_at = 0.0
        """When there last was a worker that was known to live, as far as it was looked for."""
        self.troubled = False
        """Whether a worker has ever been frozen, cut off, lost or lied."""
        self.num_harms = 0
        self.harms: Counter[JobPart] = Counter()
        self.failed_checks: Counter[JobPart] = Counter()
        self.doomed: set[str] = set()
        """Ids of the jobs that can only fail: a part of them has met with too much."""
        self.late_at: dict[str, float] = {}
        """When each worker was last late with a batch, also one that was then computed elsewhere."""
        self.all_as_predicted = True
        self.job_ids = map(str, itertools.count())
        COUNTED.clear()

    @initialize(num_workers=st.integers(0, 4))
    def start(self, num_workers: int) -> None:
        async def start() -> None:
            self.pool = WatchedPool(SETTINGS, self.note_loss, self.may_have_more)
            flights = self.pool.dispatcher._scheduler._flights
            flights.give_up = functools.partial(self.note_late, flights.give_up)  # type: ignore[method-assign]
            for _ in range(num_workers):
                self.join_one()

        self.loop.run_until_complete(start())

    def note_late(self, give_up: Callable[[list[Flight]], None], late: list[Flight]) -> None:
        give_up(late)
        for flight in late:
            self.late_at[flight.worker.worker_id] = self.loop.time()

    def join_one(self) -> None:
        self.pool.join()
        self.pool.heard_at[self.pool.worker_ids[-1]] = self.loop.time()

    def do(self, action: Callable[[], object], seconds: float = 0.0) -> None:
        """The action, what happens in the next ``seconds``, and what follows at once from it all."""

        async def act() -> None:
            action()
            for _ in range(math.ceil(seconds)):
                self.note_trusted()
                await asyncio.sleep(min(seconds, 1.0))
            await asyncio.sleep(MOMENT)
            self.note_trusted()

        self.note_trusted()
        self.loop.run_until_complete(act())

    def note_trusted(self) -> None:
        if self.trusted_workers():
            self.trusted_at = self.loop.time()

    # Callers

    @rule(jobs=st.lists(JOBS, min_size=1, max_size=2), timeout=TIMEOUTS)
    def submit(self, jobs: list[Job], timeout: float | None) -> None:
        self.ask([replace(job, job_id=next(self.job_ids), caller=jobs[0].caller) for job in jobs], timeout)
        self.do(lambda: None)

    def ask(self, jobs: list[Job], timeout: float | None) -> Asked:
        task = self.loop.create_task(self.pool.dispatcher.run(*jobs, timeout_seconds=timeout))
        now = self.loop.time()
        asked = Asked(jobs, now, now + (timeout or SETTINGS.max_timeout_seconds), task)
        task.add_done_callback(lambda _: setattr(asked, "answered_at", self.loop.time()))
        self.unfinished.append(asked)
        return asked

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
        self.do(self.join_one)

    def worker(self, which: int) -> str:
        self.troubled = True
        return self.pool.worker_ids[which % len(self.pool.worker_ids)]

    @precondition(lambda self: self.pool.worker_ids)
    @rule(which=ANY, dies=st.booleans(), is_announced=st.booleans())
    def leave(self, which: int, dies: bool, is_announced: bool) -> None:
        """A worker leaves, with what is on it or after it has ended that; the dispatcher hears of it, or not yet."""
        worker_id = self.worker(which)
        self.pool.leave(worker_id)
        if is_announced:
            self.do(self.pool.announce)
        if dies:
            self.do(lambda: self.pool.lose_all_on(worker_id))

    @rule()
    def announce(self) -> None:
        self.do(self.pool.announce)

    @precondition(lambda self: self.pool.worker_ids)
    @rule(which=ANY, how=st.sampled_from([SimulatedPool.freeze, SimulatedPool.cut_off, SimulatedPool.refuse]))
    def make_unreachable(self, which: int, how: Callable[[SimulatedPool, str], None]) -> None:
        """It is still listed; what it is asked hangs, or fails at once."""
        worker_id = self.worker(which)
        self.do(lambda: how(self.pool, worker_id))

    @precondition(lambda self: self.pool.worker_ids)
    @rule(how=st.sampled_from([SimulatedPool.freeze, SimulatedPool.cut_off, SimulatedPool.refuse]))
    def make_all_unreachable(self, how: Callable[[SimulatedPool, str], None]) -> None:
        self.troubled = True

        def act() -> None:
            for worker_id in self.pool.worker_ids:
                how(self.pool, worker_id)

        self.do(act)

    @rule(which=ANY)
    def heal(self, which: int) -> None:
        if self.pool.worker_ids:
            worker_id = self.worker(which)
            self.do(lambda: self.heal_one(worker_id))

    def heal_one(self, worker_id: str) -> None:
        self.pool.thaw(worker_id)
        self.pool.reconnect(worker_id)

    @precondition(lambda self: self.pool.asked)
    @rule(which=ANY)
    def lose_probe(self, which: int) -> None:
        """A question is lost, though the worker lives."""
        self.do(self.pool.asked[which % len(self.pool.asked)].lose)

    @precondition(lambda self: not self.troubled and self.pool.worker_ids)
    @rule(
        seconds=st.sampled_from([0.004, 0.05, 0.3, 1.5]),
        num_lines=st.sampled_from([1, 4]),
        execution=st.sampled_from(Execution),
        others=st.sampled_from([0.003, 0.03, 0.1, 0.25]),
    )
    def submit_beside_a_stream(self, seconds: float, num_lines: int, execution: Execution, others: float) -> None:
        """While callers post jobs as fast as they are answered, nobody else waits much longer than its share."""
        asked = self.ask([replace(job(seconds, num_lines, execution), job_id=next(self.job_ids))], None)
        tiny = others <= SHORT_SECONDS
        callers = TINY_CALLERS if tiny else CALLERS
        cost = self.cost(asked.jobs)
        # Express jobs take no turns with the others, but get up to five of six slices while one of these is new.
        share = 6 * cost if tiny else 2 * (1 + callers) * max(cost, others)
        begun = self.loop.time()
        until = begun + 1.0 + 6 * sum(self.cost(one.jobs) for one in self.unfinished) + share

        async def call() -> None:
            while not asked.task.done() and self.loop.time() < until:
                try:
                    await self.pool.dispatcher.run(job(others))
                except RefusedError:
                    await asyncio.sleep(0.5)

        async def stream() -> None:
            await asyncio.gather(*(call() for _ in range(callers)))

        self.loop.run_until_complete(stream())
        self.do(lambda: None)
        assert asked.task.done(), f"after {self.loop.time() - begun:.1f} s, {seconds} s beside {others} s"
        assert not self.pool.probes or not self.all_as_predicted, "nothing is late"

    def cost(self, jobs: list[Job]) -> float:
        return sum(COST.seconds(one.task, 0, one.task.length, one.task.num_lines) for one in jobs)

    # Answers

    def call(self, which: int) -> Call:
        return self.pool.out[which % len(self.pool.out)]

    @precondition(lambda self: self.pool.out)
    @rule(which=ANY, slowness=st.sampled_from([0.5, 1.0, 1.0, 3.0]))
    def finish(self, which: int, slowness: float) -> None:
        self.all_as_predicted &= slowness == 1.0
        call = self.call(which)
        self.do(lambda: call.succeed(slowness))

    @precondition(lambda self: self.pool.out)
    @rule()
    def finish_all(self) -> None:
        self.do(self.pool.succeed_all)

    @precondition(lambda self: self.pool.out)
    @rule(which=ANY, was_running=st.booleans())
    def lose(self, which: int, was_running: bool) -> None:
        self.troubled = True
        call = self.call(which)
        self.do(lambda: call.lose(was_running=was_running))

    @precondition(lambda self: self.pool.out)
    @rule(which=ANY, was_running=st.booleans())
    def lose_again_and_again(self, which: int, was_running: bool) -> None:
        """It is the batch that loses its workers: so does the next one that has it, though there are new ones."""
        self.troubled = True
        (piece, *_) = self.flight_of(self.call(which).batch).pieces
        for _ in range(3):
            for call in [call for call in self.pool.out if piece in self.flight_of(call.batch).pieces][-1:]:
                self.do(partial(call.lose, was_running=was_running))
                self.do(self.join_one)

    @precondition(lambda self: self.pool.out)
    @rule(which=ANY)
    def fail(self, which: int) -> None:
        self.troubled = True
        self.do(self.call(which).fail)

    @precondition(lambda self: self.pool.out)
    @rule(which=ANY)
    def answer_short(self, which: int) -> None:
        self.troubled = True
        call = self.call(which)
        self.note_loss(call.batch, was_running=True)
        self.do(call.truncate)

    def note_loss(self, batch: Batch, was_running: bool) -> None:
        """The third harm to a part ends its job, unless another worker has returned the part in the meantime."""
        self.num_harms += 1
        for piece in self.flight_of(batch).pieces if was_running else []:
            for part in parts_of(piece) if piece.wanted else []:
                self.harms[part] += 1
                if self.harms[part] >= 3:
                    self.doomed.add(part[0])

    @precondition(lambda self: self.pool.out)
    @rule(which=ANY, segment=ANY)
    def answer_wrongly(self, which: int, segment: int) -> None:
        """The second failed check of a part ends its job; but of two answers only the first is looked at."""
        self.troubled = True
        self.num_harms += 1
        call = self.call(which)
        parts = [(piece, part) for piece in self.flight_of(call.batch).pieces for part in parts_of(piece)]
        piece, part = parts[segment % len(parts)]
        if piece.wanted:
            self.harms[part] += 1
            self.failed_checks[part] += 1
            if self.failed_checks[part] == 2:
                self.doomed.add(part[0])
        self.do(lambda: call.err(segment))

    @rule(seconds=st.sampled_from([0.001, 0.001, 0.01, 0.1, 0.1, 1.0, 6.0, 30.0, 130.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.do(lambda: None, seconds)
        self.all_as_predicted &= not any(map(self.may_be_late, self.pool.out))

    # Looks inside

    @property
    def flights(self) -> list[Flight]:
        return list(self.pool.dispatcher._scheduler._flights)

    def flight_of(self, batch: Batch) -> Flight:
        return next(flight for flight in self.flights if flight.batch is batch)

    def trusted_workers(self) -> list[Worker]:
        pool = self.pool.dispatcher._scheduler._pool
        return [worker for worker in pool if pool.trusts(worker)]

    def idle_workers(self) -> set[str]:
        return {worker.worker_id for worker in self.trusted_workers() if not worker.in_flight}

    def may_have_more(self, worker_id: str) -> bool:
        """Whether it has been heard since any batch was lost, and since it was late with one itself."""
        now, heard_at = self.loop.time(), self.pool.heard_at[worker_id]
        due = [flight.due_at for flight in self.flights if flight.worker.worker_id == worker_id]
        late_since = min(due, default=math.inf)
        is_late = now > late_since + 2 * WATCH_SECONDS and heard_at < late_since
        is_late |= heard_at < self.late_at.get(worker_id, -math.inf)
        return (heard_at >= self.pool.lost_at or self.pool.lost_at == now) and not is_late

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
                    assert asked.answered_at >= self.trusted_at + SETTINGS.worker_wait_seconds - ROUNDING - 1.0
                case DeadlineError():
                    assert asked.answered_at == pytest.approx(asked.give_up_at, abs=ROUNDING)
                case ComputationError():
                    assert self.is_doomed(asked) or self.most_harms(asked) >= 3
                case _:
                    raise AssertionError(error)

    def check(self, result: JobResult) -> None:
        job = result.job
        assert_each_term_once(job, COUNTED[job.job_id])
        assert result.counts == [job.task.length] * job.task.num_lines
        assert sum(record.num_units for record in result.batches) <= sum(result.counts)
        assert (result.part == Part()) == (job.task.length == 0)

    def is_doomed(self, asked: Asked) -> bool:
        return any(job.job_id in self.doomed for job in asked.jobs)

    def most_harms(self, asked: Asked) -> int:
        job_ids = {job.job_id for job in asked.jobs}
        return max((count for part, count in self.harms.items() if part[0] in job_ids), default=0)

    @invariant()
    def nothing_is_sent_to_a_worker_that_is_not_trusted(self) -> None:
        assert not self.pool.mistrusted

    @invariant()
    def where_no_worker_answers_nobody_waits_longer_than_that(self) -> None:
        now = self.loop.time()
        if self.unfinished and not self.trusted_workers():
            assert now <= self.trusted_at + SETTINGS.worker_wait_seconds + 1.0 + WATCH_SECONDS + ROUNDING

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
        """Other than the one that failed at it, or that still has it."""
        for piece in self.pool.dispatcher._scheduler._retries:
            if piece.wanted:
                assert self.idle_workers() <= {*piece.shunned, *piece.worker_ids}

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
        taken = Counter((flight.worker, flight.lane) for flight in self.flights)
        for worker in {worker for worker, _ in taken}:
            express, full, long = (taken[worker, lane] for lane in Lane)
            assert worker.taken == (express, full, long)
            assert full <= MAX_FULL
            assert express + full <= MAX_FULL_AND_EXPRESS
            assert long <= MAX_LONG

    @invariant()
    def sums_over_the_batches_are_right(self) -> None:
        flights = self.pool.dispatcher._scheduler._flights
        in_time = [flight for flight in flights if not flight.late]
        assert flights.num_express == sum(flight.lane is Lane.EXPRESS for flight in in_time)
        waiting = self.pool.dispatcher._scheduler._waiting
        assert waiting.express_core_seconds >= -ROUNDING

    @invariant()
    def no_job_waits_beside_an_idle_worker(self) -> None:
        assert not self.pool.dispatcher.num_queued_jobs or not self.idle_workers()

    @invariant()
    def nobody_is_emptied_for_a_retry_that_may_never_be_empty(self) -> None:
        scheduler = self.pool.dispatcher._scheduler
        emptying = scheduler._retries._emptying
        assert emptying is None or emptying not in scheduler._pool or scheduler._pool.trusts(emptying)

    @invariant()
    def no_short_job_is_held_back_while_its_place_is_free(self) -> None:
        """A worker that is trusted, has no guest and none of its places taken by an express batch."""
        scheduler = self.pool.dispatcher._scheduler
        if scheduler._waiting.peek(Lane.EXPRESS) is not None:
            assert all(worker.taken[Lane.EXPRESS] or worker.guest for worker in self.trusted_workers())

    @invariant()
    def batches_are_in_their_lanes(self) -> None:
        """Nothing was lost and the predictions are right: so who is short is known here as well as there."""
        if self.all_as_predicted and not self.num_harms:
            for call in self.pool.out:
                flight = self.flight_of(call.batch)
                if max((piece.seconds for piece in flight.pieces), default=0.0) > 2 * SHORT_SECONDS:
                    assert flight.lane is not Lane.EXPRESS

    @invariant()
    def nobody_computes_for_nobody(self) -> None:
        if not self.unfinished:
            assert not self.pool.out

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
        for worker_id in self.pool.worker_ids:
            self.heal_one(worker_id)
        self.do(self.join_one)
        left = sum(self.cost(asked.jobs) for asked in self.unfinished)
        until = self.loop.time() + 10.0 + 4 * left
        while self.unfinished and self.loop.time() <= until:
            self.do(lambda: None, 1.0)
            self.what_is_answered_is_right()
        assert not self.unfinished, f"after {10 + 4 * left:.0f} s"
        self.do(lambda: None, 1.0)
        self.who_is_not_answered_is_held_and_nobody_else()
        self.no_worker_holds_more_than_it_may_and_none_is_forgotten()
        self.nothing_is_sent_to_a_worker_that_is_not_trusted()
        assert not self.pool.out


TestDispatcher = DispatcherMachine.TestCase
TestDispatcher.settings = settings(
    max_examples=2 * settings().max_examples,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],  # minutes pass in some steps
)

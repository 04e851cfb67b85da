"""The store as a state machine: any order of requests, crashes and takeovers, against a dict of what was committed."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.durable.records import Record, State
from app.durable.store import DeposedError, Session, StoreError
from tests.postgres import PostgresServer
from tests.stores import NOW, Place, PostgresqlPlace, SqlitePlace, die, folder_in_memory, queued, read, write

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
CALLERS = st.sampled_from(["ada", "bob"])
KEYS = st.sampled_from([None, None, "k", "l"])
STATES = st.sampled_from(State)
SMALL = st.integers(0, 5)

Change = Callable[[dict[str, Record]], object]
"""What an operation is to do to the model, and what it is to return."""


class CrashError(Exception):
    """The keeper dies in the midst of a transaction."""


class StoreMachine(RuleBasedStateMachine):
    """One keeper after another, of which the last is the one that counts."""

    live_zombies = False
    """Whether an older keeper can still be connected."""

    def __init__(self) -> None:
        super().__init__()
        self.place = self.new_place()
        self.jobs: dict[str, Record] = {}
        self.last_number = 0
        self.epoch = 0
        self.clock = NOW
        self.revisions = itertools.count(2)

    def new_place(self) -> Place:
        """With nothing stored."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.store = self.place.keeper()
        self.zombie = self.place.keeper()
        self.taken()

    def taken(self) -> None:
        """A keeper takes the store, and is told of everything."""
        taken = self.store.take("one", self.clock)
        self.epoch += 1
        unfinished = [job for job in self.in_order() if not job.state.done]
        assert taken.epoch == self.epoch
        assert list(taken.unfinished) == unfinished
        assert taken.num_finished == len(self.jobs) - len(unfinished)

    def in_order(self) -> list[Record]:
        return sorted(self.jobs.values(), key=lambda job: job.number)

    def apply(self, operation: Callable[[Session], object], change: Change, crash: str) -> None:
        """Run it, on the store and on the model; or die before the commit, or after it."""
        self.clock += 1

        def dying(session: Session) -> None:
            operation(session)
            raise CrashError

        if crash == "before":
            number = self.last_number
            change(dict(self.jobs))
            self.last_number = number
            with pytest.raises(CrashError):
                write(self.store, dying, now=self.clock)
        else:
            expected = change(self.jobs)
            assert write(self.store, operation, now=self.clock) == [expected]
        if crash:
            die(self.store)
            self.store = self.place.keeper()
            self.taken()

    CRASHES = st.sampled_from(["", "", "", "", "before", "after"])

    @rule(name=NAMES, caller=CALLERS, key=KEYS, crash=CRASHES)
    def submit(self, name: str, caller: str, key: str | None, crash: str) -> None:
        record = queued(name, caller, key, created_at=self.clock)

        def change(jobs: dict[str, Record]) -> Record:
            known = [job for job in jobs.values() if key is not None and (job.caller, job.key) == (caller, key)]
            if name in jobs or known:
                return jobs.get(name) or known[0]
            self.last_number += 1
            jobs[name] = replace(record, number=self.last_number)
            return jobs[name]

        self.apply(lambda session: session.submit(record), change, crash)

    @rule(name=NAMES, state=STATES, again=st.booleans(), crash=CRASHES)
    def save(self, name: str, state: State, again: bool, crash: str) -> None:
        """Progress, an end, or a cancellation; a second time if its outcome was not known."""
        old = self.jobs.get(name, queued(name))
        new = replace(old, state=state, revision=next(self.revisions), checkpoint=None if state.done else "{}")
        if state.done:
            new = replace(new, finished_at=self.clock, expires_at=self.clock + 3)

        def change(jobs: dict[str, Record]) -> bool:
            if name not in jobs or jobs[name].state.done:
                return False
            jobs[name] = new
            return True

        self.apply(lambda session: session.save(new), change, crash)
        if again:
            self.apply(lambda session: session.save(new), change, "")

    @rule(name=NAMES, crash=CRASHES)
    def delete(self, name: str, crash: str) -> None:
        self.apply(lambda session: session.delete(name), lambda jobs: jobs.pop(name, None) is not None, crash)

    @rule(max_finished=SMALL, limit=SMALL, crash=CRASHES)
    def purge(self, max_finished: int, limit: int, crash: str) -> None:
        now = self.clock

        def change(jobs: dict[str, Record]) -> int:
            done = [job for job in self.in_order() if job.state.done]
            done.sort(key=lambda job: (job.finished_at or 0, job.number))
            expired = [job for job in done if (job.expires_at or 0) <= now]
            kept = [job for job in done if job not in expired]
            gone = expired + kept[: max(0, len(kept) - max_finished)]
            gone = sorted(gone, key=done.index)[:limit]
            for job in gone:
                del jobs[job.job_id]
            return len(gone)

        self.apply(lambda session: session.purge(now, max_finished, limit), change, crash)

    @rule()
    def reopen(self) -> None:
        self.store.reopen()

    @rule(closed=st.booleans())
    def another_takes_it(self, closed: bool) -> None:
        die(self.zombie)
        self.zombie = self.store
        if closed:
            self.store.close()
        elif not self.live_zombies:
            die(self.store)
        self.store = self.place.keeper()
        self.taken()

    @rule(name=NAMES)
    def a_zombie_writes(self, name: str) -> None:
        if self.live_zombies:
            with pytest.raises((DeposedError, StoreError)):
                write(self.zombie, lambda session: session.delete(name))

    @invariant()
    def what_is_stored_is_what_was_committed(self) -> None:
        def everything(session: Session) -> Any:
            jobs = {name: session.get(name) for name in self.jobs}
            pages = {caller: session.page(caller, (), None, 9) for caller in ("ada", "bob")}
            return jobs, pages, session.unfinished(), session.num_finished()

        jobs, pages, unfinished, num_finished = read(self.store, everything)
        assert jobs == self.jobs
        assert unfinished == [job for job in self.in_order() if not job.state.done]
        assert num_finished == len(self.jobs) - len(unfinished)
        for caller, page in pages.items():
            names = [job.job_id for job in reversed(self.in_order()) if job.caller == caller]
            assert [job.job_id for job in page] == names

    def teardown(self) -> None:
        die(self.store)
        die(self.zombie)


FEW = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Of orders: each takes the time of several dozens of commits."""


def test_any_order_of_requests_and_crashes_in_a_file() -> None:
    numbers = itertools.count()
    with folder_in_memory() as folder:

        class Machine(StoreMachine):
            def new_place(self) -> Place:
                return SqlitePlace(folder / str(next(numbers)))

        run_state_machine_as_test(Machine, settings=FEW)


def test_any_order_of_requests_and_crashes_on_a_server(postgres: PostgresServer) -> None:
    class Machine(StoreMachine):
        live_zombies = True

        def new_place(self) -> Place:
            return PostgresqlPlace(postgres)

    run_state_machine_as_test(Machine, settings=settings(FEW, max_examples=6))

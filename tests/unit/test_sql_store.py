"""The store of durable jobs, over SQLite and over PostgreSQL."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.durable.records import Record, State
from app.durable.sql_store import SqlStore
from app.durable.store import Session, StoreError
from app.durable.tables import JOBS, KEEPER, UnreadableRowError, row_of
from tests.stores import (
    NOW,
    Place,
    PostgresqlPlace,
    SqlitePlace,
    die,
    execute,
    finished,
    queued,
    read,
    submit,
    write,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Of both engines, in turn."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "state")
    return PostgresqlPlace(request.getfixturevalue("postgres"))


@pytest.fixture
def store(place: Place) -> Iterator[SqlStore]:
    """Taken by a keeper of the instance "one"."""
    store = place.keeper()
    assert store.take("one", NOW).epoch == 1
    yield store
    store.close()


class TestSubmit:
    def test_jobs_are_numbered_in_the_order_of_acceptance(self, store: SqlStore) -> None:
        assert [record.number for record in submit(store, queued("a"), queued("b"))] == [1, 2]
        assert submit(store, queued("c")) == [queued("c", number=3)]

    def test_the_same_job_again_is_the_one_that_is_there(self, store: SqlStore) -> None:
        (first,) = submit(store, queued("a"))
        done = finished(first, result="{}")
        assert write(store, lambda session: session.save(done)) == [True]
        assert submit(store, queued("a"), queued("b")) == [done, queued("b", number=2)]

    def test_a_key_is_for_one_job_of_a_caller(self, store: SqlStore) -> None:
        first, again, other = submit(
            store, queued("a", "ada", "k"), queued("b", "ada", "k", request="[]"), queued("c", "bob", "k")
        )
        assert (first.job_id, again, other.job_id) == ("a", first, "c")
        assert read(store, lambda session: session.by_key("bob", "k")) == other
        assert read(store, lambda session: session.by_key("ada", "l")) is None
        assert read(store, lambda session: session.get("b")) is None

    def test_jobs_without_a_key_are_all_different(self, store: SqlStore) -> None:
        assert len(submit(store, queued("a"), queued("b"))) == len({"a", "b"})

    @pytest.mark.parametrize("second", [queued("b", key="k", number=7), queued("b", key="l", number=1)])
    def test_the_database_itself_refuses_a_second_job_for_a_key_or_a_number(
        self, store: SqlStore, second: Record
    ) -> None:
        submit(store, queued("a", key="k"))
        with pytest.raises(IntegrityError, match=r"(?i)unique"):
            execute(store, insert(JOBS).values(row_of(second)))
        assert read(store, lambda session: session.get("a")) is not None

    def test_numbers_of_deleted_jobs_are_not_used_again(self, store: SqlStore) -> None:
        submit(store, queued("a"), queued("b"))
        assert write(store, lambda session: session.delete("b")) == [True]
        assert submit(store, queued("b"))[0].number == 3

    def test_everything_about_a_job_comes_back_as_it_was(self, store: SqlStore) -> None:
        record = queued(
            "a", "ada", "ключ\t✓", number=1, request='{"x": "\\u0000"}', created_at=2**53 + 1, deadline_at=2**62,
            predicted_core_seconds=0.1 + 0.2, units_done=2**40, checkpoint="{}", resumed=3, stalled=2,
        )  # fmt: skip
        assert submit(store, record) == [record]
        assert read(store, lambda session: session.get("a")) == record


class TestSave:
    def test_progress_is_written(self, store: SqlStore) -> None:
        (record,) = submit(store, queued("a"))
        running = replace(
            record, state=State.RUNNING, started_at=NOW + 1, core_seconds=0.25, checkpoint="{}", checkpoint_at=NOW + 2,
            units_done=4, revision=2, resumed=1, stalled=1,
        )  # fmt: skip
        assert write(store, lambda session: session.save(running)) == [True]
        assert read(store, lambda session: session.get("a")) == running

    def test_what_was_accepted_stays(self, store: SqlStore) -> None:
        (record,) = submit(store, queued("a", key="k"))
        other = replace(record, caller="bob", key=None, request="[]", created_at=1, deadline_at=1, number=9, kernel="?")
        assert write(store, lambda session: session.save(other)) == [True]
        assert read(store, lambda session: session.get("a")) == record

    @pytest.mark.parametrize("end", [state for state in State if state.done])
    def test_what_is_over_stays_so(self, store: SqlStore, end: State) -> None:
        (record,) = submit(store, queued("a"))
        done = finished(record, end)
        saves: list[Callable[[Session], bool]] = [
            lambda session, record=record: session.save(record)  # type: ignore[misc]
            for record in (done, done, record, finished(record, State.FAILED, error="{}"))
        ]
        assert write(store, *saves) == [True, False, False, False]
        assert read(store, lambda session: session.get("a")) == done

    def test_a_job_that_is_gone_does_not_come_back(self, store: SqlStore) -> None:
        (record,) = submit(store, queued("a"))
        done = write(store, *[lambda s: s.delete("a"), lambda s: s.delete("a"), lambda s: s.save(record)])
        assert done == [True, False, False]
        assert read(store, lambda session: session.get("a")) is None


class TestPage:
    @pytest.fixture
    def jobs(self, store: SqlStore) -> list[Record]:
        """Five of Ada's, of which the second and the fourth are over; and one of Bob's."""
        jobs = submit(store, *(queued(name, "bob" if name == "x" else "ada", checkpoint="{}") for name in "abxcde"))
        for job in (jobs[1], jobs[4]):
            write(store, lambda session, job=job: session.save(finished(job, result="{}")))
        return jobs

    def test_the_newest_come_first(self, store: SqlStore, jobs: list[Record]) -> None:
        def names(*arguments: Any) -> list[str]:
            return [record.job_id for record in read(store, lambda session: session.page(*arguments))]

        assert names("ada", (), None, 10) == ["e", "d", "c", "b", "a"]
        assert names("ada", (), None, 2) == ["e", "d"]
        assert names("ada", (), jobs[4].number, 2) == ["c", "b"]
        assert names("ada", (), 1, 2) == []
        assert names("ada", (State.SUCCEEDED,), None, 10) == ["d", "b"]
        assert names("ada", (State.QUEUED, State.SUCCEEDED), 4, 10) == ["b", "a"]
        assert names("bob", (), None, 10) == ["x"]
        assert names("eve", (), None, 10) == []

    @pytest.mark.usefixtures("jobs")
    def test_it_is_an_overview(self, store: SqlStore) -> None:
        page = read(store, lambda session: session.page("ada", (), None, 10))
        assert {(record.checkpoint, record.result) for record in page} == {(None, None)}


class TestPurge:
    @pytest.fixture
    def over(self, store: SqlStore) -> str:
        """Six jobs: one that goes on, and five that ended in another order, and expire in yet another."""
        for job_id, ended, expires in [("a", 5, 90), ("b", 3, 10), ("c", 4, 80), ("d", 1, 70), ("e", 2, 30)]:
            (record,) = submit(store, queued(job_id))
            done = replace(finished(record, at=ended), expires_at=expires)
            write(store, lambda session, done=done: session.save(done))
        submit(store, queued("f"))
        return "abcdef"

    @pytest.mark.parametrize(
        ("purge", "gone"),
        [
            ((9, 9, 9), ""), ((10, 9, 9), "b"), ((30, 9, 9), "eb"), ((30, 9, 1), "e"), ((99, 9, 9), "debca"),
            ((0, 4, 9), "d"), ((0, 2, 9), "deb"), ((0, 2, 2), "de"), ((0, 0, 9), "debca"),
            ((10, 4, 9), "b"),  # those that have expired do not count
            ((10, 3, 9), "bd"), ((99, 0, 0), ""),
        ],
    )  # fmt: skip
    def test_those_that_ended_first_are_forgotten_first(
        self, store: SqlStore, over: str, purge: tuple[int, int, int], gone: str
    ) -> None:
        assert write(store, lambda session: session.purge(*purge)) == [len(gone)]
        left = [record.job_id for record in read(store, lambda session: session.page("ada", (), None, 10))]
        assert set(left) == set(over) - set(gone)
        assert read(store, lambda session: session.num_finished()) == 5 - len(gone)
        if purge[2] > len(gone):
            assert write(store, lambda session: session.purge(*purge)) == [0]


class TestTake:
    def test_the_next_keeper_has_all_unfinished_jobs_in_order(self, store: SqlStore, place: Place) -> None:
        first, second, third = submit(store, queued("b"), queued("c"), queued("a"))
        running = replace(third, state=State.RUNNING, checkpoint="{}")
        write(store, lambda session: session.save(finished(second)), lambda session: session.save(running))
        die(store)
        heir = place.keeper()
        taken = heir.take("one", NOW)
        assert (taken.epoch, taken.unfinished, taken.num_finished) == (2, (first, running), 1)
        assert read(heir, lambda session: session.unfinished()) == [first, running]
        heir.close()

    def test_a_newer_schema_is_refused_and_left_alone(self, store: SqlStore, place: Place) -> None:
        execute(store, update(KEEPER).values(schema_version=3))
        die(store)
        heir = place.keeper()
        with pytest.raises(StoreError, match="schema version 3, and this service knows versions up to 1"):
            heir.take("one", NOW)
        store.reopen()

    def test_an_older_schema_is_brought_forward_step_by_step(self, store: SqlStore, place: Place) -> None:
        submit(store, queued("a"))
        die(store)

        def add(connection: Connection) -> None:
            connection.execute(text("ALTER TABLE jobs ADD COLUMN extra INTEGER DEFAULT 7"))

        def use(connection: Connection) -> None:
            connection.execute(text("UPDATE jobs SET revision = extra"))

        def fail(connection: Connection) -> None:
            connection.execute(text("UPDATE jobs SET nothing = 1"))

        for migrations, revision, version in [((add,), 1, 2), ((add, use), 7, 3), ((add, use), 7, 3)]:
            store = SqlStore(place.keeper()._database, migrations)
            assert store.take("one", NOW).unfinished[0].revision == revision
            die(store)
            with pytest.raises(StoreError, match=f"version {version}, .* up to 1"):
                place.keeper().take("one", NOW)
        with pytest.raises(StoreError, match="nothing"):
            SqlStore(place.keeper()._database, (add, use, fail)).take("one", NOW)
        store = SqlStore(place.keeper()._database, (add, use))
        assert store.take("one", NOW).epoch == 5  # what failed has changed nothing
        store.close()

    def test_whatever_goes_wrong_it_is_not_kept(self, place: Place) -> None:
        def fail(_: Connection) -> None:
            raise ZeroDivisionError

        store = place.keeper()
        store.take("one", NOW)
        die(store)
        broken = SqlStore(place.keeper()._database, (fail,))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                broken.take("one", NOW)
            with pytest.raises(StoreError, match="not open"):
                read(broken, lambda session: session.get("a"))
        assert store.take("one", NOW).epoch == 2
        store.close()

    def test_a_new_schema_is_the_newest(self, place: Place) -> None:
        store = SqlStore(place.keeper()._database, (lambda _: None,))
        store.take("one", NOW)
        die(store)
        with pytest.raises(StoreError, match="version 2"):
            place.keeper().take("one", NOW)

    def test_tables_of_somebody_else_are_left_alone(self, store: SqlStore, place: Place) -> None:
        execute(store, text("DROP TABLE keeper"))
        die(store)
        with pytest.raises(StoreError, match="already exists"):
            place.keeper().take("one", NOW)

    def test_elsewhere_a_row_that_cannot_be_read_is_an_error_for_who_reads_it(self, store: SqlStore) -> None:
        submit(store, queued("a"), queued("b"))
        execute(store, update(JOBS).values(state="paused").where(JOBS.c.job_id == "b"))
        with pytest.raises(UnreadableRowError, match="job b cannot be read: 'paused' is not a valid State"):
            read(store, lambda session: session.get("b"))
        assert read(store, lambda session: session.get("a")) is not None


class TestTransactions:
    def test_an_operation_that_raises_undoes_its_transaction_and_the_store_goes_on(self, store: SqlStore) -> None:
        with pytest.raises(ZeroDivisionError):
            write(store, lambda session: session.submit(queued("a")), lambda _: 1 / 0)
        assert submit(store, queued("b")) == [queued("b", number=1)]
        assert read(store, lambda session: session.get("a")) is None

    def test_a_value_that_cannot_be_stored_is_that_jobs_own_trouble(self, store: SqlStore) -> None:
        with pytest.raises((DBAPIError, OverflowError)):
            submit(store, queued("a", created_at=2**63))
        assert submit(store, queued("a", number=1)) == [queued("a", number=1)]

    def test_a_read_cannot_write(self, store: SqlStore) -> None:
        record = queued("a")
        for write_something in (
            lambda session: session.submit(record),
            lambda session: session.save(record),
            lambda session: session.delete("a"),
            lambda session: session.purge(NOW, 1, 1),
        ):
            with pytest.raises(RuntimeError, match="a write in a transaction that was to read"):
                read(store, write_something)

    def test_before_it_was_taken_and_after_it_was_closed_it_is_not_open(self, store: SqlStore, place: Place) -> None:
        store.close()
        store.close()
        for closed in (store, place.keeper()):
            with pytest.raises(StoreError, match="not open"):
                read(closed, lambda session: session.get("a"))

    def test_nothing_is_opened_before_it_is_taken(self, place: Place, tmp_path: Path) -> None:
        place.keeper()
        assert list(tmp_path.iterdir()) == []

"""The store of durable jobs in PostgreSQL: keepers that are there at once, lost connections, what is told of them."""

import re
import signal
import sys
import threading
import time
import traceback

import psycopg
import pytest
from sqlalchemy import select, text

from app.durable.sql_store import postgresql_store
from app.durable.store import DeposedError, Session, StoreError, Taken, WaitForOwnerError
from app.durable.tables import KEEPER
from harness.processes import wait_until
from tests.postgres import PostgresServer
from tests.stores import NOW, PostgresqlPlace, age, die, finished, queued, read, session_of, submit, write


class TestFence:
    def test_a_keeper_whose_jobs_were_taken_changes_nothing_more(self, postgres: PostgresServer) -> None:
        place = PostgresqlPlace(postgres)
        old, new = place.keeper(), place.keeper()
        old.take("one", NOW)
        (record,) = submit(old, queued("a"))
        new.take("one", NOW)
        for _ in range(2):
            with pytest.raises(DeposedError, match="a later keeper has taken the stored jobs from the one of epoch 1"):
                write(old, lambda session: session.save(finished(record)))
            with pytest.raises(DeposedError):
                old.reopen()
        with pytest.raises(DeposedError):
            read(old, lambda session: session.get("a"))
        old.close()
        assert read(new, lambda session: session.get("a")) == record
        new.close()

    def test_it_sees_that_when_it_only_reads(self, postgres: PostgresServer) -> None:
        place = PostgresqlPlace(postgres)
        old, new = place.keeper(), place.keeper()
        old.take("one", NOW)
        new.take("one", NOW)
        with pytest.raises(DeposedError):
            read(old, lambda session: session.get("a"))
        old.close()
        new.close()

    def test_a_takeover_waits_for_a_transaction_that_has_begun(self, postgres: PostgresServer) -> None:
        """So that what it has written is there, or never will be."""
        place = PostgresqlPlace(postgres)
        old, new = place.keeper(), place.keeper()
        old.take("one", NOW)
        takers: list[threading.Thread] = []
        taken: list[Taken] = []

        def takeover_begins(session: Session) -> None:
            takers.append(threading.Thread(target=lambda: taken.append(new.take("one", NOW))))
            takers[0].start()
            with postgres.connect() as connection:
                wait_until(lambda: num_blocked(connection) > 0, 10, "the takeover waits")

        write(old, lambda session: session.submit(queued("a")), takeover_begins)
        takers[0].join()
        assert [record.job_id for record in taken[0].unfinished] == ["a"]
        old.close()
        new.close()

    def test_of_two_that_take_over_at_once_the_second_sees_the_first(self, postgres: PostgresServer) -> None:
        place = PostgresqlPlace(postgres)
        old, late = place.keeper(), place.keeper()
        old.take("one", NOW)
        age(old, 31)
        raised: list[Exception] = []

        def take_late() -> None:
            try:
                late.take("three", NOW)
            except StoreError as error:
                raised.append(error)

        taker = threading.Thread(target=take_late)
        with postgres.connect() as connection:
            with connection.transaction():
                now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
                taken = f"UPDATE {place.schema}.keeper SET epoch = 2, instance = 'two', committed_at = {now}"  # noqa: S608 (ours)
                connection.execute(taken.encode())
                taker.start()
                with postgres.connect() as other:
                    wait_until(lambda: num_blocked(other) > 0, 10, "the second waits")
            taker.join()
        assert [type(error) for error in raised] == [WaitForOwnerError]
        old.close()


class TestPostgresql:
    def test_a_lost_connection_loses_nothing_that_was_committed(self, postgres: PostgresServer) -> None:
        store = PostgresqlPlace(postgres).keeper()
        store.take("one", NOW)
        (first,) = submit(store, queued("a"))
        with pytest.raises(StoreError, match=r"^PostgreSQL: [^\n]*terminat"):
            write(store, lambda session: session.submit(queued("b")), killed)
        store.reopen()
        assert read(store, lambda session: session.unfinished()) == [first]
        store.close()

    def test_a_server_that_crashed_has_all_that_was_committed(self, postgres: PostgresServer) -> None:
        store = PostgresqlPlace(postgres).keeper()
        store.take("one", NOW)
        (first,) = submit(store, queued("a"))
        postgres.stop(signal.SIGQUIT)
        try:
            with pytest.raises(StoreError):
                submit(store, queued("b"))
            with pytest.raises(StoreError, match=r"^PostgreSQL: [^\n]*[Cc]onnection[^\n]*refused"):
                store.reopen()
        finally:
            postgres.start()
        store.reopen()
        assert read(store, lambda session: session.unfinished()) == [first]
        store.close()

    def test_the_session_is_as_it_should_be(self, postgres: PostgresServer) -> None:
        store = PostgresqlPlace(postgres).keeper()
        store.take("one", NOW)
        for name, value in {"statement_timeout": "10s", "lock_timeout": "10s", "synchronous_commit": "on",
                            "idle_in_transaction_session_timeout": "10s"}.items():  # fmt: skip
            show = text(f"SHOW {name}")
            assert read(store, lambda s, show=show: session_of(s)._connection.execute(show).scalar_one()) == value
        store.close()

    def test_the_servers_clock_counts_and_not_the_keepers(self, postgres: PostgresServer) -> None:
        place = PostgresqlPlace(postgres)
        store = place.keeper()
        store.take("one", 0)
        write(store, lambda session: session.delete("a"), now=0)
        committed = select(KEEPER.c.committed_at)
        committed_at = read(store, lambda session: session_of(session)._connection.execute(committed).scalar_one())
        assert abs(committed_at / 1000 - time.time()) < 60
        die(store)
        with pytest.raises(WaitForOwnerError):
            place.keeper().take("two", 10**15)

    def test_the_password_is_in_no_message(self, postgres: PostgresServer) -> None:
        wrong = "open-sesame"
        url = postgres.url()
        stores = [postgresql_store(url, wrong), postgresql_store(url.replace("@", f":{wrong}@"), None)]
        for store in stores:
            with pytest.raises(StoreError, match="password authentication failed") as raised:
                store.take("one", NOW)
            told = "".join(traceback.format_exception(raised.value)) + repr(store) + repr(store._database)
            assert wrong not in told

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("nonsense:secret", "the URL of PostgreSQL cannot be read"),
            ("postgresql://u:secret@host:port/x", "the URL of PostgreSQL cannot be read"),
            ("mysql://u:secret@host/x", "the URL of PostgreSQL does not begin with postgresql://"),
            ("postgresql://u:secret@127.0.0.1:1/x", "PostgreSQL: .*refused.*"),
            ("postgresql://u:secret@127.0.0.1:1/x?secret=1", r"PostgreSQL: .*\*\*\*.*"),
        ],
    )
    def test_a_url_that_leads_nowhere_is_an_error_in_one_line(self, url: str, message: str) -> None:
        with pytest.raises(StoreError) as raised:
            postgresql_store(url, None).take("one", NOW)
        assert re.fullmatch(message, str(raised.value))
        assert "secret" not in str(raised.value)

    def test_without_the_extra_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(StoreError, match=r"^PostgreSQL needs the extra \[postgres\]$"):
            postgresql_store("postgresql://u@127.0.0.1:1/x", None).take("one", NOW)

    def test_a_server_that_refuses_a_setting_is_left(
        self, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.durable.postgresql.SESSION", ("SET nothing = 1",))
        with pytest.raises(StoreError, match=r"^PostgreSQL: unrecognized configuration parameter"):
            postgresql_store(postgres.url(), postgres.password).take("one", NOW)

    def test_a_user_who_may_not_make_tables_is_told(self, postgres: PostgresServer) -> None:
        with pytest.raises(StoreError, match=r"^PostgreSQL: no schema has been selected to create in"):
            postgresql_store(postgres.url("nowhere"), postgres.password).take("one", NOW)


def killed(session: Session) -> None:
    """Its connection is ended by the server, in the midst of the transaction."""
    session_of(session)._connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def num_blocked(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    """How many wait for a lock."""
    return len(connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall())


class TestOwner:
    """Another instance may be alive, and unable to reach the database for a moment."""

    def test_another_instance_waits_until_the_last_commit_is_old(self, postgres: PostgresServer) -> None:
        place = PostgresqlPlace(postgres)
        store, heir = place.keeper(), place.keeper()
        store.take("one", NOW)
        die(store)
        with pytest.raises(WaitForOwnerError, match=r"another instance .* \d s ago.* taken over 30 s after"):
            heir.take("two", NOW)
        store.reopen()  # and it did not take it, nor keep it
        age(store, 20)
        die(store)
        with pytest.raises(WaitForOwnerError, match=r"2\d s ago"):
            heir.take("two", NOW)
        store.reopen()
        age(store, 31)
        die(store)
        assert heir.take("two", NOW).epoch == 2
        heir.close()

    def test_nobody_waits_who_need_not(self, postgres: PostgresServer) -> None:
        place = PostgresqlPlace(postgres)
        store = place.keeper()
        store.take("one", NOW)
        die(store)
        heirs = [place.keeper() for _ in range(4)]
        assert heirs[0].take("one", NOW).epoch == 2  # the same service
        die(heirs[0])
        assert heirs[1].take("two", NOW, force=True).epoch == 3
        heirs[1].close()  # on purpose
        assert heirs[2].take("three", NOW).epoch == 4
        age(heirs[2], -100)  # a clock that was wrong
        die(heirs[2])
        assert heirs[3].take("four", NOW).epoch == 5
        heirs[3].close()

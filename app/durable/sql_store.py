"""Durable jobs in SQLite or PostgreSQL: one connection, which belongs to the keeper with the newest epoch."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from app.durable.databases import Database
from app.durable.postgresql import PostgresqlDatabase
from app.durable.schema import MIGRATIONS, Migration, prepare
from app.durable.sql_session import SqlSession
from app.durable.sqlite import SqliteDatabase
from app.durable.store import DeposedError, Operation, StoreError, Taken, WaitForOwnerError
from app.durable.tables import KEEPER, UnreadableRowError

OWNER_MS = 30_000
"""So long after its last commit another instance's keeper is taken for alive."""


def sqlite_store(folder: Path, *, allow_network_folder: bool) -> "SqlStore":
    """Jobs in the file ``jobs.db`` of this folder; neither has to exist."""
    return SqlStore(SqliteDatabase(folder, allow_network_folder=allow_network_folder))


def postgresql_store(url: str, password: str | None) -> "SqlStore":
    """Jobs in two tables where ``url`` leads, which is libpq's: ``postgresql://user@host:port/database``.

    They are made in the first schema of the search path, which must allow it.
    """
    return SqlStore(PostgresqlDatabase(url, password))


class SqlStore:
    """See ``Store``. After any ``StoreError`` it is not connected, until ``reopen`` or ``take``."""

    def __init__(self, database: Database, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self._database = database
        self._migrations = migrations
        self._connection: Connection | None = None
        self._epoch = 0
        self._deposed = False

    def take(self, instance: str, now: int, *, force: bool = False) -> Taken:
        """See ``Store``. It is taken with every unfinished job, or not at all."""
        self._disconnect()
        with self._disconnecting():
            self._connection = connection = self._database.connect(create=True)
            with connection.begin():
                prepare(connection, self._migrations)
                clock = self._database.clock(now)
                if not force and not self._database.is_exclusive:
                    self._respect_owner(connection, instance, now)
                statement = update(KEEPER).where(KEEPER.c.id == 1).returning(KEEPER.c.epoch)
                values = {"epoch": KEEPER.c.epoch + 1, "instance": instance, "started_at": clock, "committed_at": clock}
                epoch = connection.execute(statement.values(values)).scalar_one()
                session = SqlSession(connection, writes=True)
                taken = Taken(epoch, tuple(session.unfinished()), session.num_finished())
        self._epoch, self._deposed = epoch, False
        return taken

    def reopen(self) -> None:
        """See ``Store``. It never creates what is not there any more."""
        self._disconnect()
        self._must_not_be_deposed()
        with self._disconnecting():
            self._connection = connection = self._database.connect(create=False)
            with connection.begin():
                self._fence(connection, None)

    def run(self, operations: Sequence[Operation], now: int, *, writes: bool) -> list[Any]:
        """See ``Store``. What else an operation raises undoes them all, and the store goes on."""
        self._must_not_be_deposed()
        if self._connection is None:
            raise StoreError("the stored jobs are not open")
        with self._disconnecting((SQLAlchemyError, StoreError, DeposedError), but_for=(DataError, IntegrityError)):
            if writes:
                self._database.check()
            with self._connection.begin():
                self._fence(self._connection, now if writes else None)
                session = SqlSession(self._connection, writes=writes)
                return [operation(session) for operation in operations]

    def close(self) -> None:
        """Give it up: no other instance has to wait now."""
        if self._connection is not None:
            released = update(KEEPER).where(KEEPER.c.id == 1, KEEPER.c.epoch == self._epoch).values(instance="")
            with contextlib.suppress(SQLAlchemyError), self._connection.begin():
                self._connection.execute(released)
        self._disconnect()

    def _respect_owner(self, connection: Connection, instance: str, now: int) -> None:
        statement = select(KEEPER.c.instance, KEEPER.c.committed_at, self._database.clock(now)).where(KEEPER.c.id == 1)
        owner, committed_at, clock = connection.execute(statement).one()
        # A commit in the far future is of a clock that was wrong: nobody is made to wait for that moment.
        age_ms = abs(clock - committed_at)
        if owner not in {"", instance} and age_ms < OWNER_MS:
            raise WaitForOwnerError(
                f"another instance of the service wrote to the stored jobs {age_ms / 1000:.0f} s ago, "
                f"and may still be running: they are taken over {OWNER_MS // 1000} s after its last write"
            )

    def _fence(self, connection: Connection, now: int | None) -> None:
        """Make sure that the epoch is still this keeper's; with ``now`` also that it stays so until the commit."""
        mine = KEEPER.c.id == 1, KEEPER.c.epoch == self._epoch
        if now is None:
            is_mine = connection.execute(select(KEEPER.c.epoch).where(*mine)).one_or_none() is not None
        else:
            statement = update(KEEPER).where(*mine).values(committed_at=self._database.clock(now))
            is_mine = connection.execute(statement).rowcount > 0
        if not is_mine:
            self._deposed = True
            self._must_not_be_deposed()

    def _must_not_be_deposed(self) -> None:
        if self._deposed:
            raise DeposedError(f"a later keeper has taken the stored jobs from the one of epoch {self._epoch}")

    @contextlib.contextmanager
    def _disconnecting(
        self, on: tuple[type[BaseException], ...] = (BaseException,), but_for: tuple[type[BaseException], ...] = ()
    ) -> Iterator[None]:
        """Close the connection on such an error, since nobody knows what it is still good for."""
        try:
            yield
        except but_for:
            raise
        except on as error:
            self._disconnect()
            if isinstance(error, SQLAlchemyError):
                raise StoreError(self._database.reason(error)) from error
            if isinstance(error, UnreadableRowError):
                raise StoreError(str(error)) from error
            raise

    def _disconnect(self) -> None:
        """Without waiting for the server; what is not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # closes it, where close() alone would first roll back
            connection.close()

"""Stores of durable jobs for tests: of either engine, empty, and as many keepers of one as a test likes."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import update

from app.durable.records import Record, State
from app.durable.sql_session import SqlSession
from app.durable.sql_store import SqlStore, postgresql_store, sqlite_store
from app.durable.store import Store
from app.durable.tables import KEEPER
from tests.postgres import PostgresServer

NUMBERS = itertools.count()
NOW = 1_800_000_000_000
"""Milliseconds since 1970: some moment."""


class Place(ABC):
    """Where jobs can be stored; nothing is there at first."""

    @abstractmethod
    def keeper(self) -> SqlStore:
        """Another keeper's store of the same jobs, not yet open."""


class SqlitePlace(Place):
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keeper(self) -> SqlStore:
        return sqlite_store(self.folder, allow_network_folder=True)  # whatever the tests' own folder is on


class PostgresqlPlace(Place):
    """A schema."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.schema = f"test_{next(NUMBERS)}"
        with server.connect() as connection:
            connection.execute(f"CREATE SCHEMA {self.schema}".encode())

    def keeper(self) -> SqlStore:
        return postgresql_store(self.server.url(self.schema), self.server.password)


def queued(job_id: str, caller: str = "ada", key: str | None = None, **fields: Any) -> Record:
    """A job that was just accepted."""
    record = Record(
        job_id=job_id,
        number=0,
        caller=caller,
        key=key,
        fingerprint="f",
        kernel="fibonacci",
        request='{"length": 10}',
        num_workers=2,
        state=State.QUEUED,
        created_at=NOW,
        deadline_at=NOW + 60_000,
        predicted_core_seconds=1.5,
        total_units=10,
    )
    return replace(record, **fields)


def session_of(session: object) -> SqlSession:
    """The session that an operation was given, to look behind the interface."""
    assert isinstance(session, SqlSession)
    return session


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """An empty folder, in memory where that can be: for tests of what is written, in which no power fails."""
    memory = Path("/dev/shm")  # noqa: S108 (the folder's own name is not to be guessed)
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def die(store: SqlStore) -> None:
    """Its keeper dies: nothing is written any more, and what was open is closed."""
    store._disconnect()


def age(store: Store, seconds: int) -> None:
    """Let its last commit be so long ago."""
    ago = update(KEEPER).values(committed_at=KEEPER.c.committed_at - 1000 * seconds)
    write(store, lambda session: session_of(session)._connection.execute(ago).rowcount)


def write(store: Store, *operations: Any, now: int = NOW) -> list[Any]:
    """Run them in one transaction."""
    return store.run(operations, now, writes=True)


def read(store: Store, operation: Any) -> Any:
    """Run it in a transaction that only reads."""
    return store.run([operation], NOW, writes=False)[0]


def submit(store: SqlStore, *records: Record) -> list[Record]:
    """In one transaction."""
    return write(store, *[lambda session, record=record: session.submit(record) for record in records])


def finished(record: Record, state: State = State.SUCCEEDED, at: int = NOW + 1, **fields: Any) -> Record:
    return replace(record, state=state, finished_at=at, expires_at=at + 1000, revision=record.revision + 1, **fields)


def execute(store: SqlStore, statement: Any) -> None:
    """Something that the interface has no way for."""
    write(store, lambda session: session_of(session)._connection.execute(statement).rowcount)

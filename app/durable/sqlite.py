"""A file of SQLite as the store: one connection has it, and nobody else can open it meanwhile.

In SQLite's exclusive locking mode the WAL needs no shared memory, the kernel drops the lock when the process dies, and
the failures that take two connections cannot happen: the WAL-reset bug of all versions before 3.51.3 is one.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, NullPool, create_engine, event, literal
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.durable.databases import one_line
from app.durable.file_systems import MOUNTINFO, network_file_system
from app.durable.store import StoreError

BUSY_SECONDS = 1.0
WAL_BYTES = 16 * 2**20
"""The WAL file is cut to this after a checkpoint; SQLite makes one each 1,000 pages, which are 4 MB."""


class SqliteDatabase:
    """``jobs.db`` in a folder of its own, which is made if there is none; only the service's user may read them."""

    is_exclusive: ClassVar[bool] = True

    def __init__(self, folder: Path, *, allow_network_folder: bool, mountinfo: Path = MOUNTINFO) -> None:
        self._folder = folder
        self._allow_network_folder = allow_network_folder
        self._mountinfo = mountinfo
        self._path = folder / "jobs.db"
        self._identity: tuple[int, int] | None = None

    def connect(self, *, create: bool) -> Connection:
        """See ``Database``. A damaged file is left as it is."""
        try:
            self._refuse_network_folder()
            if create:
                self._make()
            # Not by opening it: closing any descriptor of a file drops all locks that the process has on it.
            if not os.access(self._path, os.R_OK | os.W_OK, effective_ids=True):
                raise StoreError(f"{self._path} is not there, or may not be read and written by this user")
            engine = create_engine("sqlite://", creator=self._open, poolclass=NullPool, hide_parameters=True)
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
            connection = engine.connect()
            self._identity = self._identity_now()
        except OSError as error:
            raise StoreError(one_line(f"{error.filename or self._path}: {error.strerror}")) from error
        return connection

    def check(self) -> None:
        """A file that was deleted can still be written, until it is closed."""
        try:
            same = self._identity_now() == self._identity
        except OSError:
            same = False
        if not same:
            raise StoreError(f"{self._path} was deleted or replaced while the service was running")

    def clock(self, now: int) -> ColumnElement[int]:
        """The keeper's: only processes of this machine use the file."""
        return literal(now)

    def reason(self, error: SQLAlchemyError) -> str:
        """See ``Database``."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest is detail
        if code == sqlite3.SQLITE_BUSY:
            return f"another service has the file {self._path}"
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return one_line(f"{self._path} is damaged: {cause}")
        return one_line(f"{self._path}: {cause}")

    def _refuse_network_folder(self) -> None:
        if self._allow_network_folder or not self._mountinfo.exists():
            return
        if kind := network_file_system(self._folder, self._mountinfo.read_text(errors="surrogateescape")):
            raise StoreError(
                f"{self._folder} is on a network file system ({kind}), where a database can be damaged: "
                "choose a folder on a local disk, or use PostgreSQL"
            )

    def _make(self) -> None:
        """Make the folder and an empty file, if they are not there."""
        missing = [folder for folder in (self._folder, *self._folder.parents) if not folder.exists()]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in missing:  # or a power failure could take it away, with all that is in it
            descriptor = os.open(folder.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if not self._path.exists() or not self._path.stat().st_size:
            wal = Path(f"{self._path}-wal")
            if wal.exists() and wal.stat().st_size:  # SQLite would delete it
                raise StoreError(f"{self._path} is gone or empty, but there is {wal}: restore both, or move it away")
        with suppress(FileExistsError):
            self._path.touch(mode=0o600, exist_ok=False)

    def _open(self) -> sqlite3.Connection:
        """The file is not written before it is known to be sound; and nothing is read before it is locked."""
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(self._path))}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # the driver would begin transactions where it likes
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._refuse_damaged(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # less would lose the last commits at a power failure
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            connection.execute(
                "SELECT 1 FROM sqlite_master"
            ).fetchall()  # a new file's change to WAL ends only with this
            # What an earlier commit could not sync may look committed now: it is synced here, or this fails.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_damaged(self, connection: sqlite3.Connection) -> None:
        ((verdict,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise StoreError(one_line(f"{self._path} is damaged: {verdict}"))

    def _identity_now(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_dev, status.st_ino

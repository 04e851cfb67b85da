"""What ``SqlStore`` needs to know of a database beyond SQL."""

from typing import ClassVar, Protocol

from sqlalchemy import ColumnElement, Connection
from sqlalchemy.exc import SQLAlchemyError


class Database(Protocol):
    """SQLite or PostgreSQL. Making one does no I/O."""

    is_exclusive: ClassVar[bool]
    """Whether nobody else can have a connection meanwhile: then whoever had one before is known to be gone."""

    def connect(self, *, create: bool) -> Connection:
        """A connection of its own; ``create`` allows to begin with nothing stored.

        Raises ``StoreError``, or an error that ``reason`` explains.
        """
        ...

    def check(self) -> None:
        """Raises ``StoreError`` if what the connection writes would not be there for the next one."""
        ...

    def clock(self, now: int) -> ColumnElement[int]:
        """Milliseconds since 1970 by the clock that all keepers of this database have in common.

        ``now`` is the keeper's own.
        """
        ...

    def reason(self, error: SQLAlchemyError) -> str:
        """Why it cannot be used, in one line, without secrets."""
        ...


def one_line(message: str) -> str:
    """A database's message as callers may see it: in one line, and not without end."""
    return " ".join(message.split())[:300]

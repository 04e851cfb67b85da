"""A database of PostgreSQL as the store: for services that span machines, or have their data there anyway."""

from typing import ClassVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    NullPool,
    cast,
    create_engine,
    extract,
    func,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from app.durable.databases import one_line
from app.durable.store import StoreError

CONNECT = {
    "application_name": "durable jobs",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "target_session_attrs": "read-write",  # of several hosts, the one that is no standby
    "tcp_user_timeout": 10_000,  # milliseconds
}
"""Parameters of libpq, for those that the URL does not give: a peer that is gone is found out within ten seconds."""

SESSION = (
    "SET statement_timeout = '10s'",
    "SET lock_timeout = '10s'",
    # Or a keeper that froze in a transaction would keep its lock on the epoch, and nobody could take over.
    "SET idle_in_transaction_session_timeout = '10s'",
    # Unless the server does more than that.
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') <> 'remote_apply'",
)


class PostgresqlDatabase:
    """The database and the schema that the URL leads to. The password is in no message."""

    is_exclusive: ClassVar[bool] = False

    def __init__(self, url: str, password: str | None) -> None:
        self._given = url
        self._password = password

    def connect(self, *, create: bool) -> Connection:  # noqa: ARG002 (an administrator creates databases)
        """See ``Database``."""
        url = self._url()
        arguments = {name: value for name, value in CONNECT.items() if name not in url.query}
        try:
            engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
        except ImportError as error:
            raise StoreError("PostgreSQL needs the extra [postgres]") from error
        connection = engine.connect()
        try:
            with connection.begin():
                for statement in SESSION:
                    connection.exec_driver_sql(statement)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        return connection

    def check(self) -> None:
        """A connection that was lost is found out by using it."""

    def clock(self, now: int) -> ColumnElement[int]:  # noqa: ARG002 (of two machines, either clock may be wrong)
        """The server's."""
        return cast(extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    def reason(self, error: SQLAlchemyError) -> str:
        """See ``Database``."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        # Without details, which may quote what was written.
        message = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
        for secret in filter(None, (self._password, self._url().password)):
            message = message.replace(secret, "***")
        return one_line(f"PostgreSQL: {message}")

    def _url(self) -> URL:
        try:
            url = make_url(self._given)
        except (ArgumentError, ValueError):
            raise StoreError("the URL of PostgreSQL cannot be read") from None
        if url.get_backend_name() not in {"postgresql", "postgres"}:
            raise StoreError("the URL of PostgreSQL does not begin with postgresql://")
        return url.set(drivername="postgresql+psycopg", password=self._password or url.password)

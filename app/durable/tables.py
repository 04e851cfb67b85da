"""The two tables of durable jobs, for SQLAlchemy Core, and a row of them as a ``Record``."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

from app.durable.records import Record, State

METADATA = MetaData()

KEEPER = Table(
    "keeper",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("epoch", BigInteger, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("instance", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("committed_at", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),  # here, since the job with the greatest number may be deleted
)
"""One row: who has the jobs, and when that keeper last wrote."""

JOBS = Table(
    "jobs",
    METADATA,
    Column("job_id", Text, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("caller", Text, nullable=False),
    Column("key", Text),
    Column("fingerprint", Text, nullable=False),
    Column("kernel", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("num_workers", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    Column("predicted_core_seconds", Double, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("core_seconds", Double, nullable=False),
    Column("checkpoint", Text),
    Column("checkpoint_at", BigInteger),
    Column("units_done", BigInteger, nullable=False),
    Column("total_units", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("resumed", Integer, nullable=False),
    Column("stalled", Integer, nullable=False),
    Column("result", Text),
    Column("error", Text),
)
"""One row a job; the columns are the fields of ``Record``."""

Index("jobs_by_state", JOBS.c.state, JOBS.c.number)
Index("jobs_by_caller", JOBS.c.caller, JOBS.c.number)
for _name, _columns, _unique in (
    ("jobs_by_key", (JOBS.c.caller, JOBS.c.key), True),
    ("jobs_by_expiry", (JOBS.c.expires_at,), False),
):
    _is_there = _columns[-1].is_not(None)
    Index(_name, *_columns, unique=_unique, sqlite_where=_is_there, postgresql_where=_is_there)

CHANGING = (
    "state", "started_at", "finished_at", "expires_at", "core_seconds", "checkpoint", "checkpoint_at", "units_done",
    "revision", "resumed", "stalled", "result", "error",
)  # fmt: skip
"""What may change of a job once it is accepted."""


class UnreadableRowError(ValueError):
    """A row holds what no version of this service has written."""


def row_of(record: Record) -> dict[str, Any]:
    """A record as the values of its columns."""
    return {column.name: getattr(record, column.name) for column in JOBS.c} | {"state": record.state.value}


def record_of(row: Mapping[str, Any]) -> Record:
    """A row, of all columns or of some, as a record. Raises ``UnreadableRowError``.

    The types are looked at because SQLite keeps whatever it is given in any column.
    """
    for name, value in row.items():
        column = JOBS.c[name]
        if not (column.nullable if value is None else isinstance(value, column.type.python_type)):
            raise UnreadableRowError(f"job {row['job_id']} cannot be read: its {name} is {value!r:.60}")
    try:
        return Record(**{**row, "state": State(row["state"])})
    except ValueError as error:
        raise UnreadableRowError(f"job {row['job_id']} cannot be read: {error}") from None

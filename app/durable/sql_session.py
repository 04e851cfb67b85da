"""What can be done with durable jobs in one transaction, in SQL that SQLite and PostgreSQL have in common."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, not_, or_, select, update

from app.durable.records import UNFINISHED, Record, State
from app.durable.tables import CHANGING, JOBS, KEEPER, record_of, row_of

IS_UNFINISHED = JOBS.c.state.in_([state.value for state in UNFINISHED])
IS_FINISHED = JOBS.c.state.in_([state.value for state in State if state.done])
OVERVIEW = [column for column in JOBS.c if column.name not in {"checkpoint", "result"}]
SAVE = (
    update(JOBS)
    .where(JOBS.c.job_id == bindparam("saved"), IS_UNFINISHED)
    .values({name: bindparam(f"new_{name}") for name in CHANGING})
)
"""Made once: it is run each second for every job that has progressed."""


class SqlSession:
    """See ``Session``. It begins and ends nothing; ``writes`` is whether the epoch was locked, without which it reads.

    The lock on the epoch makes writing transactions take turns, so looking first and then writing is safe.
    """

    def __init__(self, connection: Connection, *, writes: bool) -> None:
        self._connection = connection
        self._writes = writes

    def submit(self, record: Record) -> Record:
        """See ``Session``. Numbers are not used again, even those of jobs that were deleted."""
        self._must_write()
        known = self.get(record.job_id)
        if known is None and record.key is not None:
            known = self.by_key(record.caller, record.key)
        if known is not None:
            return known
        counter = update(KEEPER).values(last_number=KEEPER.c.last_number + 1).returning(KEEPER.c.last_number)
        record = replace(record, number=self._connection.execute(counter).scalar_one())
        self._connection.execute(insert(JOBS).values(row_of(record)))
        return record

    def save(self, record: Record) -> bool:
        """See ``Session``. What is over stays as it is by the statement itself, not by what was read before."""
        self._must_write()
        row = row_of(record)
        values = {f"new_{name}": row[name] for name in CHANGING}
        return self._connection.execute(SAVE, {"saved": record.job_id, **values}).rowcount > 0

    def get(self, job_id: str) -> Record | None:
        """See ``Session``."""
        return self._one(JOBS.c.job_id == job_id)

    def by_key(self, caller: str, key: str) -> Record | None:
        """See ``Session``."""
        return self._one(and_(JOBS.c.caller == caller, JOBS.c.key == key))

    def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> list[Record]:
        """See ``Session``."""
        statement = select(*OVERVIEW).where(JOBS.c.caller == caller).order_by(JOBS.c.number.desc()).limit(limit)
        if states:
            statement = statement.where(JOBS.c.state.in_([state.value for state in states]))
        if before is not None:
            statement = statement.where(JOBS.c.number < before)
        return [record_of(row._asdict()) for row in self._connection.execute(statement)]

    def delete(self, job_id: str) -> bool:
        """See ``Session``."""
        self._must_write()
        return self._connection.execute(delete(JOBS).where(JOBS.c.job_id == job_id)).rowcount > 0

    def purge(self, now: int, max_finished: int, limit: int) -> int:
        """See ``Session``. The oldest is the one that was finished first, whenever it was accepted."""
        self._must_write()
        kept = and_(IS_FINISHED, or_(JOBS.c.expires_at.is_(None), JOBS.c.expires_at > now))
        too_many = max(0, self._count(kept) - max_finished)
        oldest = select(JOBS.c.job_id).order_by(JOBS.c.finished_at, JOBS.c.number)
        forgotten = or_(JOBS.c.expires_at <= now, JOBS.c.job_id.in_(oldest.where(kept).limit(too_many)))
        statement = delete(JOBS).where(JOBS.c.job_id.in_(oldest.where(IS_FINISHED, forgotten).limit(limit)))
        return self._connection.execute(statement).rowcount

    def unfinished(self) -> list[Record]:
        """See ``Session``."""
        # Also those of a state that nobody knows, which is then an error: nobody would ever look at them again.
        statement = select(JOBS).where(not_(IS_FINISHED)).order_by(JOBS.c.number)
        return [record_of(row._asdict()) for row in self._connection.execute(statement)]

    def num_finished(self) -> int:
        """See ``Session``."""
        return self._count(IS_FINISHED)

    def _count(self, which: ColumnElement[bool]) -> int:
        return self._connection.execute(select(func.count()).select_from(JOBS).where(which)).scalar_one()

    def _one(self, which: ColumnElement[bool]) -> Record | None:
        row = self._connection.execute(select(JOBS).where(which)).one_or_none()
        return None if row is None else record_of(row._asdict())

    def _must_write(self) -> None:
        if not self._writes:
            raise RuntimeError("a write in a transaction that was to read")

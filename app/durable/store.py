"""What the keeper needs of a database. Synchronous: everything runs in the one thread of ``app.durable.writer``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.durable.records import Record, State


class StoreError(Exception):
    """The store cannot be used now; the message says why, to an operator and to callers. It may be tried again."""

    retry_after_seconds = 5


class WaitForOwnerError(StoreError):
    """Another instance of the service had the store a moment ago, and may still have it."""


class DeposedError(Exception):
    """A later keeper has taken the store: this one may never write again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The store is this keeper's."""

    epoch: int
    """Greater than that of every keeper before; every transaction checks it."""
    unfinished: tuple[Record, ...]
    """All of them, in the order of acceptance."""
    num_finished: int


class Session(Protocol):
    """One transaction. Every write may be repeated: its outcome is the same the second time."""

    def submit(self, record: Record) -> Record:
        """Insert it, and return it with its number; or return the one with the same id, or the same caller and key."""
        ...

    def save(self, record: Record) -> bool:
        """Write what may change of an unfinished job, by its id; False if it is over or gone, and nothing was written.

        That is: state, times, core_seconds, checkpoint, units_done, revision, resumed, stalled, result and error. So it
        finishes and cancels jobs too.
        """
        ...

    def get(self, job_id: str) -> Record | None: ...

    def by_key(self, caller: str, key: str) -> Record | None: ...

    def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> list[Record]:
        """The caller's jobs with numbers below ``before``, newest first; of any state if ``states`` is empty.

        Without checkpoints and results.
        """
        ...

    def delete(self, job_id: str) -> bool:
        """Forget a job, whatever its state; False if there was none."""
        ...

    def purge(self, now: int, max_finished: int, limit: int) -> int:
        """Forget at most ``limit`` finished jobs that have expired or are more than ``max_finished``, oldest first.

        Returns how many.
        """
        ...

    def unfinished(self) -> list[Record]:
        """All unfinished jobs, in the order of acceptance."""
        ...

    def num_finished(self) -> int: ...


Operation = Callable[[Session], Any]


class Store(Protocol):
    """A database that belongs to one keeper at a time."""

    def take(self, instance: str, now: int, *, force: bool = False) -> Taken:
        """Open it, and make it this keeper's. ``instance`` names the running service.

        Raises ``StoreError`` if it cannot be opened, ``WaitForOwnerError`` if another instance committed in the last 30
        seconds by the database's own record, unless ``force``.
        """
        ...

    def reopen(self) -> None:
        """After a ``StoreError``: connect again. Raises ``DeposedError`` if somebody else has taken it."""
        ...

    def run(self, operations: Sequence[Operation], now: int, *, writes: bool) -> list[Any]:
        """Run the operations in one transaction, and return what each returned once it is committed, on disk.

        Raises ``StoreError`` if the outcome is not known or nothing was written, ``DeposedError`` if somebody else has
        taken the store.
        """
        ...

    def close(self) -> None: ...

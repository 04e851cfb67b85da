"""The jobs in hand, and what is left of each: what a scheduler needs to know of those who gave it its jobs."""

from collections.abc import Iterator
from typing import Protocol

from app.queue.live_job import LiveJob


class Ledger(Protocol):
    """Admitted jobs that have not ended."""

    def __iter__(self) -> Iterator[LiveJob]: ...

    def settle(self, job: LiveJob) -> None:
        """Predict again what is left of the job: some of it has come back, and prices have been learnt from it."""
        ...

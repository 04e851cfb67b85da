"""What the API needs of durable jobs: the keeper, wherever it is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.durable.records import Changes, JobView, NewJob, Page, State
from app.status import DurableCounts


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that was accepted, now or earlier with the same key."""

    view: JobView
    is_new: bool


class DurableJobs(Protocol):
    """Every method raises ``JobsUnavailableError`` if the jobs cannot be reached or read now.

    ``caller`` is whose jobs they are: those of others do not exist.
    """

    async def submit(self, new: NewJob) -> Submitted:
        """Accept a job; it is on disk when this returns.

        Raises a ``RefusedError`` if it is not admitted, ``KeyReusedError`` if its key was used for another.
        """
        ...

    async def get(self, job_id: str, caller: str) -> JobView:
        """Raises ``NoSuchJobError``, as the next two do."""
        ...

    async def cancel(self, job_id: str, caller: str) -> JobView:
        """The job, cancelled, or as it was if it was over."""
        ...

    async def delete(self, job_id: str, caller: str) -> None:
        """Forget it, cancelled first if it is not over."""
        ...

    async def page(self, caller: str, states: Sequence[State], before: int | None, limit: int) -> Page:
        """The caller's jobs with numbers below ``before``, newest first, without results."""
        ...

    async def changes(self, cursor: str, job_ids: Collection[str], wait_seconds: float) -> Changes:
        """Which of the jobs have changed since the cursor; waits until any has, at most so long.

        With an empty cursor, or one of another keeper or too old a one, all of them count as changed.
        """
        ...

    async def counts(self) -> DurableCounts:
        """How many there are. Never raises: if they cannot be counted, it says why."""
        ...

"""What stands where durable jobs would be, in a service that keeps none."""

from typing import NoReturn

from app.errors import JobsUnavailableError
from app.status import DurableCounts

REASON = "This service keeps no durable jobs: neither of its settings jobs_folder and jobs_database is set."
RETRY_AFTER_SECONDS = 60
"""An operator has to change a setting first."""


class NoJobs:
    """A ``DurableJobs`` that is never available."""

    async def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise JobsUnavailableError(REASON, RETRY_AFTER_SECONDS)

    submit = get = cancel = delete = page = changes = _refuse

    async def counts(self) -> DurableCounts:
        """None at all."""
        return DurableCounts(available=False, reason=REASON)

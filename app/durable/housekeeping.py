"""Finished jobs are deleted when they are old, but not by a wall clock that has jumped."""

import logging
import time
from collections.abc import Callable

from app.durable.custody import Custody
from app.durable.writer import Writer

PURGE_SECONDS = 30.0
PURGE_AT_ONCE = 500
FIRST_PURGE_SECONDS = 60.0
"""Not sooner after the start: if the wall clock has jumped, somebody may notice until then."""
JUMP_SECONDS = 5.0
"""By how much the wall clock may be put right without being said to have jumped."""

logger = logging.getLogger("ray.serve")  # as in app.http.problems


class Housekeeping:
    """Says when it is due, and does it when it is asked to."""

    def __init__(
        self, writer: Writer, custody: Custody, wall_clock: Callable[[], float], max_finished_jobs: int
    ) -> None:
        """``wall_clock``: seconds since 1970."""
        self._writer = writer
        self._custody = custody
        self._wall_clock = wall_clock
        self._max_finished_jobs = max_finished_jobs
        self._purge_at = time.monotonic() + FIRST_PURGE_SECONDS
        self._clock_ahead = wall_clock() - time.monotonic()

    @property
    def due_seconds(self) -> float:
        """How long until jobs are to be deleted; 0 if that is now."""
        return max(0.0, self._purge_at - time.monotonic())

    def watch_clock(self) -> None:
        """If the wall clock has jumped, put off whatever goes by it."""
        ahead = self._wall_clock() - time.monotonic()
        if abs(ahead - self._clock_ahead) > JUMP_SECONDS:
            logger.warning("the wall clock has jumped by %.0f s", ahead - self._clock_ahead)
            self._custody.postpone()
            self._purge_at = time.monotonic() + FIRST_PURGE_SECONDS
        self._clock_ahead = ahead

    async def purge(self, now: int) -> None:
        """Delete what is too old or too much, if that is due; ``now`` in milliseconds. Raises what the store raises."""
        if self.due_seconds > 0:
            return
        most = self._max_finished_jobs
        purged: int = await self._writer.write(lambda session: session.purge(now, most, PURGE_AT_ONCE))
        self._custody.num_finished -= purged
        if purged < PURGE_AT_ONCE:
            self._purge_at = time.monotonic() + PURGE_SECONDS

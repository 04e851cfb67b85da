"""The one timer: every quarter of a second, a look at everything that becomes due by itself."""

import asyncio
import contextvars
from collections.abc import Callable

WATCH_SECONDS = 0.25


class Watch:
    """Looks again and again, from ``start`` until there is nothing left to watch."""

    def __init__(self, clock: Callable[[], float], look: Callable[[float, float], bool]) -> None:
        """``look(now, stood_still_seconds)`` is told how long the event loop stood still, and says whether to go on."""
        self._clock = clock
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0

    def start(self) -> None:
        """Begin to look, unless it does already."""
        if self._timer is None:
            self._due_at = self._clock() + WATCH_SECONDS
            self._timer = asyncio.get_running_loop().call_later(
                WATCH_SECONDS, self._tick, context=contextvars.Context()
            )

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        stood_still_seconds = now - self._due_at
        if self._look(now, stood_still_seconds if stood_still_seconds > WATCH_SECONDS else 0.0):
            self.start()

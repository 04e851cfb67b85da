"""Looks every quarter of a second for batches that should be back by now, while there are any on workers."""

import asyncio
import contextvars
from collections.abc import Callable

from app.flights import Flight, Flights

WATCH_SECONDS = 0.25


class Watch:
    """Calls ``look_at`` at each look with the batches that are newly late, perhaps none."""

    def __init__(self, flights: Flights, clock: Callable[[], float], look_at: Callable[[list[Flight]], None]) -> None:
        self._flights = flights
        self._clock = clock
        self._look_at = look_at
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0

    def start(self) -> None:
        """Watch, if it does not already, until no batch is left."""
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        self._due_at = self._clock() + WATCH_SECONDS
        self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look, context=contextvars.Context())

    def _look(self) -> None:
        self._timer = None
        if not self._flights:
            return
        now = self._clock()
        if (stood_still_seconds := now - self._due_at) > WATCH_SECONDS:
            self._flights.postpone(stood_still_seconds)
        self._wait()
        self._look_at(self._flights.newly_late(now))

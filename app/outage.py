"""How long there has been no worker, and who is told when that is too long."""

import asyncio
from collections.abc import Callable


class Outage:
    """Begins when it is made: nobody has named a worker yet."""

    def __init__(self, limit_seconds: float, clock: Callable[[], float], give_up: Callable[[], None]) -> None:
        """``give_up`` is called once in each outage, when it has lasted ``limit_seconds``."""
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._give_up = give_up
        self._since: float | None = clock()
        self._timer: asyncio.TimerHandle | None = None
        self.lasts_too_long = False
        """Whether there has been no worker for the limit."""

    def note(self, *, any_worker: bool) -> None:
        """Say whether there is a worker now; call it in the event loop."""
        if any_worker:
            self._since = None
            self.lasts_too_long = False
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        if self._since is None:
            self._since = self._clock()
        if self._timer is None:
            left_seconds = self._limit_seconds - (self._clock() - self._since)
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left_seconds), self._end)

    def _end(self) -> None:
        self.lasts_too_long = True
        self._give_up()

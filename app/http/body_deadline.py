"""A deadline for reading bodies. Those that arrive with their head, as nearly all do, cost no timer."""

import asyncio
import contextvars
from collections.abc import Awaitable


class BodyDeadline:
    """Ends reading that takes longer than ``seconds``.

    One timer watches all readers: they have equal time, so the first to begin is the first whose time is up.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._readers: dict[asyncio.Timeout, float] = {}
        self._watching = False

    async def keep(self, reading: Awaitable[bytes]) -> bytes:
        """What is read. Raises ``TimeoutError`` when time is up."""
        reader = asyncio.timeout(None)
        self._readers[reader] = asyncio.get_running_loop().time() + self.seconds
        if not self._watching:
            self._watching = True
            self._watch()
        try:
            async with reader:
                return await reading
        finally:
            self._readers.pop(reader, None)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while self._readers:
            reader, over_at = next(iter(self._readers.items()))
            if over_at > loop.time():
                loop.call_at(over_at, self._watch, context=contextvars.Context())
                return
            del self._readers[reader]
            reader.reschedule(over_at)
        self._watching = False

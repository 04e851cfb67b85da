"""The API keys of a file, read again when it changes."""

import asyncio
import logging
from pathlib import Path

from app.keys import KeysError
from deployments.config.api_keys import read_keys

LOOK_SECONDS = 1.0
logger = logging.getLogger("ray.serve")

State = tuple[int, ...] | str
"""What changes when the file does, or why it cannot be looked at."""


class WatchedKeys:
    """Whose key it is, as the file says now. While it says nothing usable, what it said before stays in force."""

    def __init__(self, path: str) -> None:
        """Raises ``KeysError`` if there is nothing usable yet."""
        self._path = path
        self._seen = self._read = _state(path)
        self._keys = read_keys(path, {})

    def caller(self, key: bytes) -> str | None:
        """As ``ApiKeys.caller``; None if no keys have been read."""
        return self._keys.caller(key) if self._keys else None

    async def watch(self) -> None:
        """Look once a second, for ever. In a thread: a network file system may take its time."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read the file if it has changed and then stayed the same for one look: until then it may be half written."""
        state = _state(self._path)
        stays, self._seen = state == self._seen, state
        if not stays or state == self._read:
            return
        self._read = state
        try:
            self._keys = read_keys(self._path, {})
        except KeysError as error:
            logger.error("the API keys stay as they were: %s", error)  # noqa: TRY400 (a traceback says no more)
        else:
            logger.warning("the API keys were read again: %s", self._path)


def _state(path: str) -> State:
    try:
        stat = Path(path).stat()
    except OSError as error:
        return str(error.strerror)
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

"""Which durable jobs have changed lately, for those who wait for it."""

import asyncio
from collections import deque
from collections.abc import Collection

KEPT = 10_000
"""Changes that are remembered; who is further behind is told of everything."""


class ChangeLog:
    """Numbered changes. A cursor names the keeper and the last change that was seen."""

    def __init__(self) -> None:
        self._name = ""
        self._changes: deque[tuple[int, str]] = deque(maxlen=KEPT)
        self._number = 0
        self._changed = asyncio.Event()

    @property
    def cursor(self) -> str:
        """Of now."""
        return f"{self._name}-{self._number}"

    def begin(self, name: str) -> None:
        """Cursors of this keeper have this name from now on: those of others mean nothing to it."""
        self._name = name

    def note(self, job_id: str) -> None:
        """The job has changed, or is gone."""
        self._number += 1
        self._changes.append((self._number, job_id))
        self._changed.set()

    def since(self, cursor: str, job_ids: Collection[str]) -> set[str]:
        """Those of the jobs that have changed since the cursor; all of them if nobody knows."""
        name, _, text = cursor.rpartition("-")
        first = self._number - len(self._changes)
        if name != self._name or not text.isdecimal() or not first <= int(text) <= self._number:
            return set(job_ids)
        number, changed = int(text), set()
        for at, job_id in reversed(self._changes):
            if at <= number:
                break
            changed.add(job_id)
        return changed.intersection(job_ids)

    async def wait(self, cursor: str, job_ids: Collection[str], seconds: float) -> set[str]:
        """The same, as soon as there are any, or after so long."""
        try:
            async with asyncio.timeout(seconds):
                while not (changed := self.since(cursor, job_ids)):
                    self._changed.clear()
                    await self._changed.wait()
                return changed
        except TimeoutError:
            return self.since(cursor, job_ids)  # something may have changed at the very same moment

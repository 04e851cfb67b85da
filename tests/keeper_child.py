"""A keeper in a process of its own that dies at a named point: ``python -m tests.keeper_child FOLDER WHEN N``.

``WHEN``: before, in or after its ``N``-th transaction that writes. It prints a line for each thing that was
acknowledged, before the next is asked for.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.durable.sql_store import SqlStore, sqlite_store
from app.durable.store import Operation
from tests.durable_pool import SETTINGS, available, done, is_running, keeping, new_job, until

KILLED = 137


class Dying:
    """A store whose process dies at one of its transactions."""

    def __init__(self, store: SqlStore, when: str, number: int) -> None:
        self._store = store
        self._when = when
        self._left = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def run(self, operations: Sequence[Operation], now: int, *, writes: bool) -> list[Any]:
        """As the store's, or not at all."""
        self._left -= writes
        if not writes or self._left:
            return self._store.run(operations, now, writes=writes)
        if self._when == "before":
            os._exit(KILLED)
        last: Operation = (lambda _: os._exit(KILLED)) if self._when == "in" else (lambda _: None)
        results = self._store.run([*operations, last], now, writes=writes)
        os._exit(KILLED)
        return results[:-1]


async def main(folder: Path, when: str, number: int) -> None:
    """Submit, compute, cancel and delete."""
    store = Dying(sqlite_store(folder, allow_network_folder=True), when, number)
    async with keeping(folder, SETTINGS, store=store) as keeper:
        await available(keeper)
        await keeper.submit(new_job("short", key="k"))
        say("submitted short")
        await keeper.submit(new_job("long", 20_000, 1_000))
        say("submitted long")
        await keeper.submit(new_job("cancelled", 20_000, 1_000))
        say("submitted cancelled")
        await done(keeper, "short")
        say("succeeded short")
        view = await until(keeper, "long", is_running)
        say(f"progress {view.record.units_done}")
        await keeper.cancel("cancelled", "")
        say("over cancelled")
        view = await until(keeper, "long", lambda view: view.record.units_done > 0)
        say(f"progress {view.record.units_done}")
        await keeper.delete("short", "")
        say("deleted short")
        view = await done(keeper, "long")
        say("succeeded long")


def say(what: str) -> None:
    """Acknowledge."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

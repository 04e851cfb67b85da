"""The one thread that talks to the store; what waits for it meanwhile is committed together."""

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from app.durable.store import DeposedError, Operation, Session, Store, StoreError, Taken


class Kind(Enum):
    """What is to be done with the store."""

    WRITE = auto()
    READ = auto()
    CALL = auto()
    """Of the store itself: alone, after all that came before it."""
    CLOSE = auto()
    """The last of them."""


OPERATIONS = (Kind.WRITE, Kind.READ)


@dataclass(eq=False, slots=True)
class Waiting:
    """Something to be done in the thread, and who waits for it."""

    kind: Kind
    run: Callable[..., Any]
    """An operation gets the session; a call gets nothing."""
    future: Future[Any] = field(default_factory=Future)
    raised: Exception | None = None
    """What the operation raised, when it was last run."""

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()  # from now on it cannot be cancelled

    def __call__(self, session: Session) -> Any:
        """Run the operation, and remember what it raises."""
        self.raised = None
        try:
            return self.run(session)
        except Exception as error:
            self.raised = error
            raise


class Writer:
    """A store for coroutines of one event loop. Who is cancelled stops waiting; the commit goes on.

    A ``DeposedError`` is for ever: nothing is asked of the store after it, but to close.
    """

    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        """``clock_ms``: milliseconds since 1970."""
        self._store = store
        self._clock_ms = clock_ms
        self._waiting: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        self._deposed: str | None = None
        self._closing: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._work, name="durable-jobs", daemon=True)
        self._thread.start()

    async def take(self, instance: str, *, force: bool = False) -> Taken:
        """See ``Store``."""
        taken: Taken = await self._put(Kind.CALL, lambda: self._store.take(instance, self._clock_ms(), force=force))
        return taken

    async def reopen(self) -> None:
        """See ``Store``."""
        await self._put(Kind.CALL, self._store.reopen)

    async def read(self, operation: Operation) -> Any:
        """What the operation returns."""
        return await self._put(Kind.READ, operation)

    async def write(self, operation: Operation) -> Any:
        """What the operation returned, once that is committed. It may be run more than once."""
        return await self._put(Kind.WRITE, operation)

    async def close(self) -> None:
        """Do what waits, close the store, and end the thread."""
        if self._closing is None:
            self._closing = self._put(Kind.CLOSE, self._store.close)
        await asyncio.shield(self._closing)

    def _put(self, kind: Kind, run: Callable[..., Any]) -> asyncio.Future[Any]:
        if self._closing is not None:
            raise StoreError("the stored jobs are closed")
        waiting = Waiting(kind, run)
        self._waiting.put(waiting)
        return asyncio.wrap_future(waiting.future)

    def _work(self) -> None:
        """All that the thread does."""
        kind = None
        while kind is not Kind.CLOSE:
            for group in grouped(self._all_waiting()):
                kind = group[0].kind
                if kind in OPERATIONS:
                    self._run(group, writes=kind is Kind.WRITE)
                else:
                    self._call(group[0])

    def _all_waiting(self) -> list[Waiting]:
        """At least one, in order."""
        waiting = [self._waiting.get()]
        with suppress(queue.Empty):
            while True:
                waiting.append(self._waiting.get_nowait())
        return waiting

    def _call(self, waiting: Waiting) -> None:
        try:
            if waiting.kind is Kind.CALL:
                self._must_not_be_deposed()
            result = waiting.run()
        except Exception as error:  # noqa: BLE001 (it goes to whoever waits, and the thread goes on)
            self._fail([waiting], error)
        else:
            waiting.future.set_result(result)

    def _run(self, group: list[Waiting], *, writes: bool) -> None:
        """In one transaction; an operation that raises an error is left out, and the others are run again."""
        while group:
            try:
                self._must_not_be_deposed()
                results = self._store.run(group, self._clock_ms(), writes=writes)
            except Exception as error:  # noqa: BLE001 (it goes to whoever waits, and the thread goes on)
                left_out = [waiting for waiting in group if waiting.raised is error] or group
                self._fail(left_out, error)
                group = [waiting for waiting in group if waiting not in left_out]
            else:
                for waiting, result in zip(group, results, strict=True):
                    waiting.future.set_result(result)
                return

    def _fail(self, group: list[Waiting], error: Exception) -> None:
        if isinstance(error, DeposedError):
            self._deposed = str(error)
        for waiting in group:
            waiting.future.set_exception(error)

    def _must_not_be_deposed(self) -> None:
        if self._deposed is not None:
            raise DeposedError(self._deposed)


def grouped(waiting: list[Waiting]) -> Iterator[list[Waiting]]:
    """What can be done together: between two calls, all that write, and then all that read."""
    for is_operation, some in itertools.groupby(waiting, lambda one: one.kind in OPERATIONS):
        if not is_operation:
            yield from ([call] for call in some)
            continue
        both = list(some)
        for kind in OPERATIONS:
            if group := [operation for operation in both if operation.kind is kind]:
                yield group

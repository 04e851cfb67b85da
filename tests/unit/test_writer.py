"""The thread that talks to the store: what it puts together, and who hears of what."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from app.durable.store import DeposedError, Operation, Session, StoreError, Taken
from app.durable.writer import Writer
from tests.stores import NOW, SqlitePlace, queued


class FakeStore:
    """Writes down what it is asked, and waits with it until it may."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.may = threading.Event()
        self.may.set()
        self.errors: list[Exception] = []
        """Raised by the next calls, at their end."""
        self.thread_ids: set[int] = set()
        self.is_asked = threading.Event()

    def take(self, instance: str, now: int, *, force: bool = False) -> Taken:
        self._ask(("take", instance, now, force))
        return Taken(7, (), 0)

    def reopen(self) -> None:
        self._ask("reopen")

    def close(self) -> None:
        self._ask("close")

    def run(self, operations: Sequence[Operation], now: int, *, writes: bool) -> list[Any]:
        results = [operation(cast("Session", self)) for operation in operations]
        self._ask(("write" if writes else "read", now, results))
        return results

    def _ask(self, what: Any) -> None:
        self.thread_ids.add(threading.get_ident())
        self.asked.append(what)
        self.is_asked.set()
        self.may.wait()
        if self.errors:
            raise self.errors.pop(0)


def number(value: int) -> Operation:
    """An operation that returns this."""
    return lambda _: value


def submitting(job_id: str) -> Operation:
    return lambda session: session.submit(queued(job_id))


def fail(_: Session) -> None:
    raise ZeroDivisionError("mine")


@asynccontextmanager
async def running(store: FakeStore) -> AsyncIterator[Writer]:
    """A writer over it, until this is left."""
    writer = Writer(store, lambda: NOW)
    try:
        yield writer
    finally:
        store.may.set()
        await writer.close()


def gathered(*answers: Coroutine[Any, Any, Any]) -> "asyncio.Future[list[Any]]":
    """What each returns or raises."""
    return asyncio.gather(*answers, return_exceptions=True)


async def when_busy(store: FakeStore, writer: Writer) -> "asyncio.Future[Any]":
    """The store's answer to a first write waits until it may."""
    store.may.clear()
    first = asyncio.ensure_future(writer.write(number(0)))
    await asyncio.to_thread(store.is_asked.wait)
    return first


def test_calls_go_to_the_store_in_one_other_thread() -> None:
    async def use(store: FakeStore) -> None:
        async with running(store) as writer:
            assert (await writer.take("one", force=True)).epoch == 7
            assert await writer.write(number(1)) == 1
            assert await writer.read(number(2)) == 2
            await writer.reopen()

    store = FakeStore()
    asyncio.run(use(store))
    assert store.asked == [("take", "one", NOW, True), ("write", NOW, [1]), ("read", NOW, [2]), "reopen", "close"]
    assert len(store.thread_ids - {threading.get_ident()}) == len(store.thread_ids) == 1
    assert not [thread for thread in threading.enumerate() if thread.ident in store.thread_ids]


def test_what_waits_is_committed_together_and_then_read() -> None:
    async def use(store: FakeStore) -> None:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            rest = [writer.write(number(1)), writer.read(number(2)), writer.write(number(3)), writer.read(number(4))]
            after = [writer.reopen(), writer.write(number(5))]
            answers = asyncio.gather(*rest, *after)
            await asyncio.sleep(0)
            assert not first.done()
            store.may.set()
            assert await first == 0
            assert await answers == [1, 2, 3, 4, None, 5]

    store = FakeStore()
    asyncio.run(use(store))
    together = [("write", NOW, [0]), ("write", NOW, [1, 3]), ("read", NOW, [2, 4]), "reopen", ("write", NOW, [5])]
    assert store.asked == [*together, "close"]


def test_nobody_hears_of_a_commit_before_it_is_there() -> None:
    async def use(store: FakeStore) -> None:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            await asyncio.sleep(0.02)
            assert not first.done()

    asyncio.run(use(FakeStore()))


def test_an_operation_that_raises_does_not_spoil_the_others() -> None:
    async def use(store: FakeStore) -> list[Any]:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            writes = [writer.write(operation) for operation in (number(1), fail, number(2), fail, number(3))]
            answers = gathered(*writes)
            await asyncio.sleep(0)
            store.may.set()
            assert await first == 0
            return await answers

    store = FakeStore()
    answers = asyncio.run(use(store))
    assert [answers[index] for index in (0, 2, 4)] == [1, 2, 3]
    assert {type(answers[index]) for index in (1, 3)} == {ZeroDivisionError}
    assert ("write", NOW, [1, 2, 3]) in store.asked


@pytest.mark.parametrize("error", [StoreError("full"), KeyError("a fault of the store")])
def test_when_the_commit_fails_all_of_it_has_failed_and_the_next_is_tried(error: Exception) -> None:
    async def use(store: FakeStore) -> list[Any]:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            answers = gathered(writer.write(number(1)), writer.write(number(2)))
            await asyncio.sleep(0)
            store.errors = [error]
            store.may.set()
            with pytest.raises(type(error)):
                await first
            assert await writer.write(number(3)) == 3
            return await answers

    assert asyncio.run(use(FakeStore())) == [1, 2]


def test_a_group_that_fails_fails_for_all() -> None:
    async def use(store: FakeStore) -> list[Any]:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            writes = gathered(writer.write(number(1)), writer.write(number(2)))
            await asyncio.sleep(0)
            store.errors = [StoreError("first"), StoreError("full")]
            store.may.set()
            await asyncio.wait([first])
            assert str(first.exception()) == "first"
            return await writes

    assert [str(answer) for answer in asyncio.run(use(FakeStore()))] == ["full", "full"]


@pytest.mark.parametrize("way", ["write", "read", "reopen", "take"])
def test_a_keeper_that_was_deposed_once_is_so_for_ever(way: str) -> None:
    async def use(store: FakeStore) -> None:
        async with running(store) as writer:
            arguments: dict[str, list[Any]] = {"write": [number(1)], "read": [number(1)], "reopen": [], "take": ["one"]}
            store.errors = [DeposedError("by another")]
            with pytest.raises(DeposedError, match="by another"):
                await getattr(writer, way)(*arguments[way])
            asked = len(store.asked)
            for other, some in arguments.items():
                with pytest.raises(DeposedError, match="by another"):
                    await getattr(writer, other)(*some)
            assert len(store.asked) == asked

    store = FakeStore()
    asyncio.run(use(store))
    assert store.asked[-1] == "close"


def test_who_is_cancelled_does_not_cancel_the_commit() -> None:
    async def use(store: FakeStore) -> None:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            second = asyncio.ensure_future(writer.write(number(1)))
            failing = asyncio.ensure_future(writer.write(fail))
            await asyncio.sleep(0)
            for task in (first, second, failing):
                task.cancel()
            await asyncio.wait([first, second, failing])
            assert first.cancelled()
            assert second.cancelled()
            store.may.set()
            assert await writer.read(number(2)) == 2

    store = FakeStore()
    asyncio.run(use(store))
    assert ("write", NOW, [0]) in store.asked
    assert ("write", NOW, [1]) in store.asked


def test_what_waits_is_done_before_it_is_closed_and_nothing_after_it() -> None:
    async def use(store: FakeStore) -> None:
        async with running(store) as writer:
            first = await when_busy(store, writer)
            second = asyncio.ensure_future(writer.write(number(1)))
            await asyncio.sleep(0)
            closing = asyncio.gather(writer.close(), writer.close())
            await asyncio.sleep(0)
            with pytest.raises(StoreError, match="closed"):
                await writer.write(number(2))
            store.may.set()
            await closing
            assert (await first, await second) == (0, 1)

    store = FakeStore()
    asyncio.run(use(store))
    assert store.asked == [("write", NOW, [0]), ("write", NOW, [1]), "close"]


def test_over_a_real_store(tmp_path: Path) -> None:
    async def use() -> None:
        writer = Writer(SqlitePlace(tmp_path).keeper(), lambda: NOW)
        with pytest.raises(StoreError, match="not open"):
            await writer.read(number(1))
        assert (await writer.take("one")).epoch == 1
        writes = [writer.write(submitting(name)) for name in "abc"]
        answers = await gathered(*writes, writer.write(fail))
        assert [answer.number for answer in answers[:3]] == [1, 2, 3]
        assert isinstance(answers[3], ZeroDivisionError)
        await writer.reopen()
        assert len(await writer.read(lambda session: session.unfinished())) == 3
        await writer.close()

    asyncio.run(use())

"""An ingress's calls of the keeper: their errors, their time, and callers that leave."""

import asyncio
import contextvars
import pickle
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError
from ray.serve.exceptions import RayServeException, RequestCancelledError

from app.durable.records import Changes, NewJob, Page
from app.errors import (
    CallerLimitError,
    JobError,
    JobsUnavailableError,
    KeyReusedError,
    NoSuchJobError,
    QueueFullError,
    TooCostlyError,
)
from app.status import DurableCounts
from deployments.routing.keeper_calls import CALL_SECONDS, REPLACED, Failure, KeeperCalls
from harness.virtual_time import run_virtually

NEW = NewJob("id", "alice", "fibonacci", "{}", 2, None)
NONE_LEFT = Page((), None)
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="")


class Response:
    """As a handle's."""

    def __init__(self, answer: Awaitable[Any]) -> None:
        self._task = asyncio.ensure_future(answer)
        self.cancelled = False

    def __await__(self) -> Any:
        return self._task.__await__()

    def cancel(self) -> None:
        self.cancelled = True
        self._task.cancel()


class Handle:
    """A deployment's handle; every method of the keeper is ``answer``."""

    def __init__(self, answer: Callable[..., Awaitable[Any]]) -> None:
        self._answer = answer
        self.calls: list[tuple[Any, ...]] = []
        self.responses: list[Response] = []

    def options(self) -> "Handle":
        return self

    def __getattr__(self, method: str) -> SimpleNamespace:
        def remote(*arguments: Any) -> Response:
            self.calls.append((method, *arguments))
            self.responses.append(Response(self._answer()))
            return self.responses[-1]

        return SimpleNamespace(remote=remote)


def calls_of(handle: Handle, **options: Any) -> KeeperCalls:
    return KeeperCalls(handle, **options)  # type: ignore[arg-type]


def raising(error: BaseException) -> Callable[[], Awaitable[Any]]:
    async def answer() -> Any:
        raise error

    return answer


def returning(value: object) -> Callable[[], Awaitable[Any]]:
    async def answer() -> object:
        return value

    return answer


def task_error(cause: Exception) -> BaseException:
    """What Serve raises for what a replica's code has raised."""
    made: Any = RayTaskError
    error: BaseException = made("submit", "a traceback", cause).as_instanceof_cause()
    return error


async def never() -> Any:
    await asyncio.Event().wait()


def test_each_method_is_the_keepers() -> None:
    async def main() -> None:
        handle = Handle(returning(NONE_LEFT))
        calls = calls_of(handle)
        assert await calls.page("alice", (), 7, 20) == NONE_LEFT
        await calls.submit(NEW)
        await calls.get("id", "alice")
        await calls.cancel("id", "alice")
        await calls.delete("id", "alice")
        await calls.changes("c", {"id"}, 1)
        await calls.counts()
        assert handle.calls == [
            ("page", "alice", (), 7, 20), ("submit", NEW), ("get", "id", "alice"), ("cancel", "id", "alice"),
            ("delete", "id", "alice"), ("changes", "c", ("id",), 1), ("counts",),
        ]  # fmt: skip

    run_virtually(main())


ERRORS = [
    TooCostlyError(2.0, 1.0), QueueFullError("full", 3), CallerLimitError("limit", 4), KeyReusedError(),
    NoSuchJobError(), JobsUnavailableError("no space", 7),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_that_the_keeper_returns_is_raised_as_it_was(error: JobError) -> None:
    async def main() -> None:
        travelled = pickle.loads(pickle.dumps(Failure(error)))  # noqa: S301 (our own)
        with pytest.raises(type(error)) as caught:
            await calls_of(Handle(returning(travelled))).submit(NEW)
        assert (caught.value.args, caught.value.__dict__) == (error.args, error.__dict__)

    run_virtually(main())


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(), ActorUnavailableError("gone", None), RayServeException("no replica"),
        RequestCancelledError("id"), TimeoutError(), asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_keeper_that_is_lost_makes_jobs_unavailable_and_is_not_asked_again(error: BaseException) -> None:
    async def main() -> None:
        handle = Handle(raising(error))
        with pytest.raises(JobsUnavailableError) as caught:
            await calls_of(handle).submit(NEW)
        assert (caught.value.reason, caught.value.retry_after_seconds) == (REPLACED, 5)
        assert len(handle.calls) == 1

    run_virtually(main())


def test_what_the_keepers_code_raises_is_a_fault_and_stays_one() -> None:
    async def main() -> None:
        # Of whatever kind: this one is a TimeoutError too.
        wrapped = task_error(TimeoutError("a fault"))
        with pytest.raises(RayTaskError, match="a traceback"):
            await calls_of(Handle(raising(wrapped))).submit(NEW)

    run_virtually(main())


def test_a_call_without_a_keeper_ends_and_is_not_sent_to_the_next_one() -> None:
    async def main() -> None:
        handle, begun = Handle(never), asyncio.get_running_loop().time()
        with pytest.raises(JobsUnavailableError):
            await calls_of(handle).submit(NEW)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(CALL_SECONDS)
        assert handle.responses[0].cancelled

    run_virtually(main())


def test_waiting_for_changes_may_take_as_long_as_it_was_asked_to() -> None:
    async def main() -> None:
        async def late() -> Changes:
            await asyncio.sleep(1 + 0.9 * CALL_SECONDS)
            return Changes("c", ())

        assert await calls_of(Handle(late)).changes("", ["id"], 1) == Changes("c", ())
        with pytest.raises(JobsUnavailableError):
            await calls_of(Handle(late)).changes("", ["id"], 0.1)

    run_virtually(main())


def test_counting_never_raises_and_others_do_not_wait_for_it() -> None:
    async def main() -> None:
        begun = asyncio.get_running_loop().time()
        assert await calls_of(Handle(never), counts_seconds=0.5).counts() == DurableCounts(
            available=False, reason=REPLACED
        )
        assert asyncio.get_running_loop().time() - begun == pytest.approx(0.5)
        counts = DurableCounts(available=True, queued=1)
        assert await calls_of(Handle(returning(counts))).counts() == counts

    run_virtually(main())


def test_a_caller_that_leaves_does_not_stop_the_call_nor_is_it_one_of_its_request() -> None:
    async def main() -> None:
        done, contexts = [], []

        async def slow() -> str:
            contexts.append(REQUEST.get())
            await asyncio.sleep(1)
            done.append(True)
            return "submitted"

        async def request() -> None:
            REQUEST.set("of a caller")
            await calls_of(handle).submit(NEW)

        handle = Handle(slow)
        caller = asyncio.create_task(request())
        await asyncio.sleep(0.5)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.sleep(1)
        assert (done, contexts) == ([True], [""])
        assert not handle.responses[0].cancelled

    run_virtually(main())

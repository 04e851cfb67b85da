"""Real CPU time of the dispatcher alone, in a run whose time is virtual."""

import time
from asyncio import Handle, Runner, TimerHandle
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

from harness.virtual_time import VirtualTimeLoop

T = TypeVar("T")


class Meter:
    """Sums the CPU seconds of this process inside what it wraps."""

    def __init__(self) -> None:
        self.cpu_seconds = 0.0

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call it on the meter."""
        began = time.process_time()
        try:
            return function(*args)
        finally:
            self.cpu_seconds += time.process_time() - began

    async def awaiting(self, main: Coroutine[Any, Any, T]) -> T:
        """Await it on the meter: its own steps count, and not what runs while it waits."""
        result: T = await _Steps(self, main)
        return result


class _Steps:
    """An awaitable that takes each step of another on the meter."""

    def __init__(self, meter: Meter, main: Coroutine[Any, Any, Any]) -> None:
        self._meter = meter
        self._main = main

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._main.send
        value: Any = None
        while True:
            try:
                awaited = self._meter.call(step, value)
            except StopIteration as end:
                return end.value
            try:
                step, value = self._main.send, (yield awaited)
            except BaseException as error:  # noqa: BLE001 (cancelled: so is the other)
                step, value = self._main.throw, error


class MeteredLoop(VirtualTimeLoop):
    """Meters the callbacks that are code of ``app``: the dispatcher's work when a batch returns."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter()

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """As any loop's; asyncio calls it for the callbacks of futures, too."""
        if _is_of_app(callback):
            return super().call_soon(self.meter.call, callback, *args, context=context)
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """As any loop's; ``call_later`` uses it."""
        if _is_of_app(callback):
            return super().call_at(when, self.meter.call, callback, *args, context=context)
        return super().call_at(when, callback, *args, context=context)


def _is_of_app(callback: Any) -> bool:
    return (getattr(callback, "__module__", None) or "").startswith("app.")


def run_metered(main: Callable[[Meter], Coroutine[Any, Any, T]]) -> T:
    """Run ``main(meter)`` in virtual time, on a loop that meters with it."""
    loop = MeteredLoop()
    with Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop.meter))

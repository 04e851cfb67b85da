"""An asyncio event loop whose clock jumps to the next timer instead of waiting for it."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits and no timer is set: a deadlock")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Hours of waiting pass in milliseconds, in the same order every time.

    What a callback raises is raised by ``run_until_complete``: other loops only log it.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._raised: list[BaseException] = []
        super().__init__(self._jumping)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Called by ``asyncio``; only callbacks have a ``handle``."""
        if "handle" in context:
            self._raised.append(context["exception"])
            self.stop()
        else:
            super().call_exception_handler(context)

    def run_until_complete(self, future: Any) -> Any:
        """As usual, until a callback raises."""
        try:
            return super().run_until_complete(future)
        finally:
            if self._raised:
                raise self._raised.pop()

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)

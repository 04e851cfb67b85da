"""Passes on from Serve's router which workers are alive.

A module of its own: Serve pickles the router's module by value, so a list kept there would not be shared,
and what it imports by name is as it was where the application was built.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Member(Protocol):
    """A live worker."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """What the method returns there; raises what ``WorkerReplica.call`` does."""


_listeners: list[Callable[[Mapping[str, Member]], None]] = []


def on_change(listener: Callable[[Mapping[str, Member]], None]) -> None:
    """Call ``listener`` with all live workers by their id whenever they change, in the router's thread."""
    _listeners.append(listener)


def announce(workers: Mapping[str, Member]) -> None:
    """Tell every listener."""
    for listener in _listeners:
        listener(workers)

"""Which workers are alive, from Serve's router to whoever wants to know.

A module of its own: Serve pickles the router's module by value, so a list kept there would not be shared.
"""

from collections.abc import Callable

_listeners: list[Callable[[list[str]], None]] = []


def on_change(listener: Callable[[list[str]], None]) -> None:
    """Call ``listener`` with the ids of all live workers whenever they change, in the router's thread."""
    _listeners.append(listener)


def announce(worker_ids: list[str]) -> None:
    """Tell every listener."""
    for listener in _listeners:
        listener(worker_ids)

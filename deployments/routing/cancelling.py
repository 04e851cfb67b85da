"""Whose a ``CancelledError`` is: a replica that is being stopped makes Serve raise one in those who call it."""

import asyncio


def is_ours() -> bool:
    """Whether this task itself is being cancelled; call it where the error was caught, and raise it again if so."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0

"""What a command tells the person who started it."""

import contextlib
import sys


class LaunchError(Exception):
    """The service could not be started; the message is for the person who started it."""


def say(text: str) -> None:
    """A line, at once even if somebody reads it through a pipe; nobody hears it if the pipe or terminal is gone."""
    with contextlib.suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

"""What a command tells the person who started it."""

import sys


class LaunchError(Exception):
    """The service could not be started; the message is for the person who started it."""


def say(text: str) -> None:
    """A line, at once even if somebody reads it through a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

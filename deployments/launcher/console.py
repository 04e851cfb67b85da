"""Messages from a command to the person, or the service manager, that started it."""

import contextlib
import os
import socket
import sys


class LaunchError(Exception):
    """The service could not be started, or died; the message is for the person who started it."""


class RetryError(Exception):
    """A start that another try may cure; the message says how it failed."""


def say(text: str) -> None:
    """Print a line and flush; a closed pipe or terminal is ignored."""
    with contextlib.suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def notify(state: str) -> None:
    """Tell the service manager, if one listens: sd_notify(3) of systemd, which others speak too."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's abstract names
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(1)  # one that does not read holds nobody up
        manager.sendto(state.encode(), address)


def open_missing_streams() -> None:
    """Have the three standard streams lead nowhere where they are closed, as old daemonisers leave them.

    Otherwise a socket or pipe would get such a number, and whatever a child prints would go there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    # Python makes None of a stream that was closed when it started.
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def last_line(what: object) -> str:
    """The line that says what is wrong, of an error or message that may carry a traceback."""
    lines = [line.strip() for line in str(what).splitlines() if line.strip()]
    return lines[-1] if lines else repr(what)

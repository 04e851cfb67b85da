"""Kills its process when that stands still (SIGSTOP, a debugger, a lock-up in native code).

Serve gives up a replica that does not answer, but Ray's kill is a message, which a stopped process never reads: it
would keep its CPU, and its replacement could never start. Run as a script by ``companions``, this module waits for
its parent's beats.
"""

import os
import select
import signal
import sys


def main(still_seconds: float) -> None:
    """Wait for beats on the standard input, and kill the parent when none came for so long."""
    guarded = os.getppid()
    while select.select([0], [], [], still_seconds)[0]:
        if not os.read(0, 4096):
            return  # it ended
    if os.getppid() == guarded:
        os.kill(guarded, signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]))

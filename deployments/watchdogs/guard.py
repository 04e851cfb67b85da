"""Kills its parent when that stands still (SIGSTOP, a debugger, a lock-up in native code).

Serve gives up on a replica that does not answer, but Ray's kill is a message, which a stopped process never reads: it
would keep its CPU, and its replacement could never start. Run as a script by ``start``, this module waits for its
parent's beats.
"""

import os
import select
import signal
import sys

STEPS = 15
"""The wait is counted in so many steps, not read from a clock: while guard and guarded stand still together (`docker
pause`, a suspended machine) a clock goes on, but at most one step has passed when they go on."""


def main(still_seconds: float) -> None:
    """Wait for beats on the standard input, and kill the parent when none has come for so long."""
    guarded = os.getppid()
    left = STEPS
    while left:
        if not select.select([0], [], [], still_seconds / STEPS)[0]:
            left -= 1
        elif os.read(0, 4096):
            left = STEPS
        else:
            return  # it ended
    if os.getppid() == guarded:
        os.kill(guarded, signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]))

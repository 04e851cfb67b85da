"""Kills its process when that stands still (SIGSTOP, a debugger, a lock-up in native code).

Serve gives up a replica that does not answer, but Ray's kill is a message, which a stopped process never reads: it
would keep its CPU, and its replacement could never start. Run as a script, this module waits for its parent's beats.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time

BEAT_SECONDS = 1.0
STILL_SECONDS = 15.0
"""Serve takes up to 20 s to give it up; the process is dead by then and its replacement finds the CPU free."""


def start() -> None:
    """Watch over the calling process until it ends."""
    guard = subprocess.Popen(  # noqa: S603 (this file, by this interpreter)
        [sys.executable, "-I", "-S", __file__, str(STILL_SECONDS)],
        stdin=subprocess.PIPE,  # closed by the kernel when this process ends
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=_beat, args=(guard,), name="guard", daemon=True).start()


def _beat(guard: "subprocess.Popen[bytes]") -> None:
    pipe = guard.stdin
    while pipe is not None:
        try:
            os.write(pipe.fileno(), b".")
        except OSError:
            return  # the guard is gone: Ray kills it first when it ends a replica
        time.sleep(BEAT_SECONDS)


def _main(still_seconds: float) -> None:
    guarded = os.getppid()
    while select.select([0], [], [], still_seconds)[0]:
        if not os.read(0, 4096):
            return  # it ended
    if os.getppid() == guarded:
        os.kill(guarded, signal.SIGKILL)


if __name__ == "__main__":
    _main(float(sys.argv[1]))

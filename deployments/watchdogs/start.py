"""Processes that run beside one of ours: the guard of a replica, and the reaper of its node.

Both are scripts, which import nothing of this package: they start in an interpreter without it.
"""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(__file__).parent
BEAT_SECONDS = 1.0
STILL_SECONDS = 15.0
"""A process silent for this long is killed. Serve needs up to 20 s to give up on it, so its replacement finds the CPU
free."""


def start_guard() -> None:
    """Watch over the calling process until it ends: see ``guard``."""
    guard = _start("guard.py", str(STILL_SECONDS))
    threading.Thread(target=_beat, args=(guard,), name="guard", daemon=True).start()


def start_reaper(raylet_pid: int) -> "subprocess.Popen[bytes]":
    """Start the watching process: see ``reaper``. It takes the caller for dead once nobody holds what this returns."""
    starter = _start("reaper.py", str(raylet_pid))
    starter.wait()
    return starter


def _start(script: str, argument: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 (a file of ours, by this interpreter)
        [sys.executable, "-I", "-S", str(FOLDER / script), argument],
        stdin=subprocess.PIPE,  # closed by the kernel when this process ends
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _beat(guard: "subprocess.Popen[bytes]") -> None:
    assert guard.stdin is not None  # noqa: S101 (for the type checker)
    while True:
        try:
            os.write(guard.stdin.fileno(), b".")
        except OSError:
            return  # the guard is gone: Ray kills it first when it ends a replica
        time.sleep(BEAT_SECONDS)

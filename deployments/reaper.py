"""Ends this node's HAProxy when its Ray node is gone.

HAProxy is the child of a Ray actor and outlives it when the cluster is killed instead of shut down (``kill -9``, or
SIGTERM to ``serve run``): it would hold the port and answer 500. Run as a script, this module waits on
a pipe that its parent never writes to, so it wakes when the parent is gone; if the raylet is gone
too, it kills the HAProxy processes that run from this node's folder.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RAYLET_EXIT_SECONDS = 5.0
"""How long a raylet may take to follow its workers; Ray's workers leave within a second of it."""


def watch(node_id: str, raylet_pid: int) -> None:
    """Start the watching process; it ends by itself."""
    subprocess.Popen(  # noqa: S603 (this file, by this interpreter)
        [sys.executable, "-I", "-S", __file__, node_id, str(raylet_pid)],
        stdin=subprocess.PIPE,  # closed by the kernel when this process ends, however it ends
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _main(node_id: str, raylet_pid: int) -> None:
    sys.stdin.buffer.read()
    give_up_at = time.monotonic() + RAYLET_EXIT_SECONDS
    while _alive(raylet_pid):
        if time.monotonic() > give_up_at:
            return  # only the parent went: its replacement watches
        time.sleep(0.1)
    marker = f"/haproxy-serve/{node_id}/"
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and marker in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))

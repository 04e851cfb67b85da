"""Ends what outlives its Ray node when the node is killed instead of shut down.

After ``kill -9`` of ``serve run``, or SIGTERM to it, HAProxy lives on, holds the port and answers 500; and Ray's agents
stay for a minute, trying to report to a head that is gone. Run as a script by ``start``, this module waits on a pipe
that its parent never writes to, so it wakes when the parent is gone, however it went. If the raylet is gone too, it
kills what that raylet left behind.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

RAYLET_EXIT_SECONDS = 5.0
"""How long a raylet may take to follow its workers; if it is still alive, only the parent went."""
POLL_SECONDS = 0.1
GRACE_SECONDS = 3.0
"""How long the others may take to end by themselves."""


def main(raylet_pid: int) -> None:
    """Leave a watcher behind, which waits for the parent's end and then ends what that raylet left."""
    if os.fork():
        return  # the watcher is nobody's child: an exiting Ray worker kills its children
    children = {pid: start for pid in _pids() if (start := _child_start(pid, raylet_pid))}
    sys.stdin.buffer.read()
    for _ in range(round(RAYLET_EXIT_SECONDS / POLL_SECONDS)):  # not by the clock: all of it may be paused
        if not _stat(raylet_pid):
            break
        time.sleep(POLL_SECONDS)
    else:
        return  # only the parent went: its replacement watches
    time.sleep(GRACE_SECONDS)
    # Ray gives every process that a raylet starts, and so HAProxy, the raylet's pid in its environment;
    # the agents overwrite theirs with their title, so they are known from before.
    marker = f"RAY_RAYLET_PID={raylet_pid}\0".encode()
    for pid in _pids():
        with contextlib.suppress(OSError):
            known = pid in children and _stat(pid)[19:20] == [children[pid]]
            if pid != os.getpid() and (known or marker in Path(f"/proc/{pid}/environ").read_bytes()):
                os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]


def _child_start(pid: int, parent_pid: int) -> str | None:
    """When the process started, in clock ticks since boot, if it is a child of that parent."""
    stat = _stat(pid)
    return stat[19] if stat and int(stat[1]) == parent_pid else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name (proc(5): state, ppid, ...); empty if it no longer runs."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace").rpartition(")")[2].split()
        if fields[0] != "Z":
            return fields
    return []


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The process that imports Ray, as its supervisor sees it: what it says and is told, and the end of all under it."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, TypeAlias

from deployments.launcher.folder import Folder

BURIAL_SECONDS = 10.0

Events: TypeAlias = "queue.SimpleQueue[tuple[int | None, str, Any]]"
"""Each with the pid of the cluster's process that it comes from, a name and a value."""


class ClusterProcess:
    """The process that imports Ray, and everything under it."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        folder: Folder,
        events: Events,
        *,
        verbose: bool,
    ) -> None:
        reading, writing = os.pipe()
        self._output = folder.output
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (this project's own module)
                [*command, str(writing)],
                env=environment,
                cwd=folder.code,
                stdin=subprocess.PIPE,  # closed by the kernel when this process ends
                stdout=None if verbose else output,
                stderr=None if verbose else output,
                pass_fds=(writing, folder.lock),
                process_group=0,
            )
        os.close(writing)
        self._hearing = threading.Thread(target=self._hear, args=(reading, events), daemon=True)
        self._hearing.start()

    def _hear(self, reading: int, events: Events) -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                name, value = json.loads(line)
                events.put((self.pid, name, value))
        events.put((self.pid, "ended", self._process.wait()))

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Tell it what to do; nothing happens if it is gone."""
        assert self._process.stdin is not None  # noqa: S101 (for the type checker)
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def describe_end(self, code: int) -> str:
        """In one line, how it ended and what it said last."""
        how = f"signal {-code}" if code < 0 else f"code {code}"
        lines = [line.strip() for line in self._output.read_text("utf-8", "replace").splitlines() if line.strip()]
        return f"the cluster's process ended by itself ({how}): {lines[-1] if lines else 'it said nothing'}"

    def end(self) -> None:
        """Kill whatever still runs. Each orphan becomes a child of this process, so in the end none is left."""
        give_up_at = time.monotonic() + BURIAL_SECONDS
        while (children := _children()) and time.monotonic() < give_up_at:
            for pid in children:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
            bury(but=self.pid)
        self._hearing.join(BURIAL_SECONDS)


def _children() -> list[int]:
    own = str(os.getpid())
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                # proc(5): the name, which may have anything in it, is in brackets; then state and parent
                fields = (folder / "stat").read_bytes().decode(errors="replace").rpartition(")")[2].split()
                if fields[1] == own:
                    found.append(int(folder.name))
    return found


def bury(but: int) -> None:
    """Reap every child that has ended, except the one for which ``Popen`` waits."""
    peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, peek)) and ended.si_pid != but:
            os.waitpid(ended.si_pid, 0)

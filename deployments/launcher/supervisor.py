"""The launcher's own process: it takes the signals, and ends whatever outlives its welcome. It does not import Ray.

Ray, Serve and all that they start are children of a second process, ``cluster``, in a process group of its own: what a
closed terminal, ``timeout`` or Ctrl-Z sends to this one's group does not reach them. As their subreaper, this process
becomes the parent of every orphan among them, so that it can bury the dead and leave nothing running.
"""

import contextlib
import ctypes
import json
import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from deployments.launcher.console import LaunchError, RetryError, notify, say
from deployments.launcher.folder import Folder

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
ONE_WISH_SECONDS = 0.5
"""Some senders signal a process and its group: what comes within this time is one wish, not two."""
LONG_STEP_SECONDS = 3.0
"""A step of the start that takes longer is reported."""
STOP_SECONDS = 30.0
"""How long Serve and Ray may take to end once the jobs are done; then they are killed."""
BURIAL_SECONDS = 10.0
FRESH_SECONDS = 6 * 3_600.0
"""How often the run's files are touched."""
PR_SET_CHILD_SUBREAPER = 36


Events: TypeAlias = "queue.SimpleQueue[tuple[int | None, str, Any]]"
"""Each with the pid of the cluster's process that it comes from, a name and a value."""


@dataclass(frozen=True)
class Wishes:
    """How long each part of a run may take, in seconds."""

    start: float = 180.0
    lame_duck: float = 0.0
    """After the first signal, how long jobs are still taken while ``/readyz`` already says 503."""
    grace: float = 30.0


class Supervisor:
    """Runs one cluster at a time, and passes on its messages."""

    def __init__(self, wishes: Wishes, folder: Folder, *, verbose: bool) -> None:
        self._wishes = wishes
        self._folder = folder
        self._verbose = verbose
        self._events: Events = queue.SimpleQueue()

        self._listen()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # not Linux
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored: nohup
                signal.signal(number, lambda number, _: self._events.put((None, "signal", number)))
        signal.signal(signal.SIGCHLD, lambda *_: self._events.put((None, "child", None)))

    def run(self, command: list[str], environment: dict[str, str], when_ready: Callable[[list[str]], None]) -> None:
        """Start the cluster, wait for a signal, stop it; nothing of it is left.

        ``when_ready`` is called with the addresses of our applications. Raises ``LaunchError`` if it did not get ready,
        was told to stop before, or died; ``RetryError`` if it should be tried again.
        """
        cluster = _Cluster(command, environment, self._folder, self._events, verbose=self._verbose)
        try:
            when_ready(self._until_ready(cluster))
            self._until_signalled(cluster)
            self._stop(cluster)
        finally:
            cluster.end()

    def _until_ready(self, cluster: "_Cluster") -> list[str]:
        give_up_at = time.monotonic() + self._wishes.start
        step, told_at = "starting", time.monotonic() + LONG_STEP_SECONDS
        while True:
            name, value = self._next(cluster, min(give_up_at, told_at))
            if name == "ready":
                addresses: list[str] = value
                return addresses
            if name == "signal":
                raise LaunchError(f"stopped by {signal.Signals(value).name} before it was ready")
            if name == "ended":
                raise LaunchError(cluster.describe_end(value))
            if name == "step":
                step, told_at = value, time.monotonic() + LONG_STEP_SECONDS
            if time.monotonic() >= give_up_at:
                raise LaunchError(f"not ready after {self._wishes.start:g} s, still {step}")
            if time.monotonic() >= told_at:
                say(f"{step} ...")
                told_at = math.inf

    def _until_signalled(self, cluster: "_Cluster") -> None:
        fresh_at = time.monotonic() + FRESH_SECONDS
        while True:
            name, value = self._next(cluster, fresh_at)
            if name == "signal":
                return
            if name == "ended":
                raise LaunchError(cluster.describe_end(value))
            if time.monotonic() >= fresh_at:
                self._folder.keep_fresh()
                fresh_at = time.monotonic() + FRESH_SECONDS

    def _stop(self, cluster: "_Cluster") -> None:
        """Leave, then drain, then end; a later signal drops what is left."""
        notify("STOPPING=1")
        signalled_at = time.monotonic()
        drain_at = signalled_at + self._wishes.lame_duck
        cut_at = drain_at + self._wishes.grace + STOP_SECONDS
        if self._wishes.lame_duck:
            say(f"leaving: jobs are still accepted for {self._wishes.lame_duck:g} s")
            cluster.tell("leave")
        name = ""
        while name != "ended" and time.monotonic() < cut_at:
            if time.monotonic() >= drain_at:
                cluster.tell(f"drain {self._wishes.grace}")
                drain_at = math.inf
            name, _ = self._next(cluster, min(drain_at, cut_at))
            if name == "signal" and time.monotonic() > signalled_at + ONE_WISH_SECONDS:
                cluster.tell("drop")
                drain_at, cut_at = math.inf, min(cut_at, time.monotonic() + STOP_SECONDS)
        if name != "ended":
            say("Serve and Ray did not end by themselves: killing them")

    def _next(self, cluster: "_Cluster", until: float) -> tuple[str, Any]:
        """What happens next, or nothing at ``until``. If the cluster ends unasked, raises why."""
        try:
            seconds = min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)
            source, name, value = self._events.get(timeout=seconds)
        except queue.Empty:
            return "", None
        if source not in (None, cluster.pid):
            return "", None  # the end of one that was tried before
        if name == "say":
            say(value)
        elif name == "child":
            _bury(but=cluster.pid)
        elif name == "retry":
            raise RetryError(value)
        elif name == "failed":
            raise LaunchError(value)
        elif name == "ended" and value != 0:
            raise LaunchError(cluster.describe_end(value))
        return name, value


class _Cluster:
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
            _bury(but=self.pid)
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


def _bury(but: int) -> None:
    """Reap every child that has ended, except the one for which ``Popen`` waits."""
    peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, peek)) and ended.si_pid != but:
            os.waitpid(ended.si_pid, 0)

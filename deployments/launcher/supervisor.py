"""The launcher's own process: it takes the signals, and ends whatever outlives its welcome. It does not import Ray.

Ray, Serve and all that they start are children of a second process, ``cluster``, in a process group of its own: what a
closed terminal, ``timeout`` or Ctrl-Z sends to this one's group does not reach them. As their subreaper, this process
becomes the parent of every orphan among them, so that it can bury the dead and leave nothing running.
"""

import contextlib
import ctypes
import math
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployments.launcher.child import ClusterProcess, Events, bury
from deployments.launcher.console import LaunchError, RetryError, notify, say
from deployments.launcher.folder import Folder

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
ONE_WISH_SECONDS = 0.5
"""Some senders signal a process and its group: what comes within this time is one wish, not two."""
LONG_STEP_SECONDS = 3.0
"""A step of the start that takes longer is reported."""
STOP_SECONDS = 30.0
"""How long Serve and Ray may take to end once the jobs are done; then they are killed."""
FRESH_SECONDS = 6 * 3_600.0
"""How often the run's files are touched."""
PR_SET_CHILD_SUBREAPER = 36


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
        self._hung_up = False
        """Whether the terminal is gone."""

        self._listen()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # not Linux
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored: nohup
                signal.signal(number, lambda number, _: self._events.put((None, "signal", number)))
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            threading.Thread(target=self._watch_terminal, daemon=True).start()
        signal.signal(signal.SIGCHLD, lambda *_: self._events.put((None, "child", None)))

    def _watch_terminal(self) -> None:
        """Where make leads the session, the kernel tells only make that the terminal is gone; and make waits for us."""
        try:
            terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        except OSError:
            return  # there is none
        poll = select.poll()
        poll.register(terminal, 0)  # a hang-up is reported whatever is asked for
        poll.poll()
        self._hung_up = True
        self._events.put((None, "signal", signal.SIGHUP))

    def run(self, command: list[str], environment: dict[str, str], when_ready: Callable[[list[str]], None]) -> None:
        """Start the cluster, wait for a signal, stop it; nothing of it is left.

        ``when_ready`` is called with the addresses of our applications. Raises ``LaunchError`` if it did not get ready,
        was told to stop before, or died; ``RetryError`` if it should be tried again.
        """
        cluster = ClusterProcess(command, environment, self._folder, self._events, verbose=self._verbose)
        try:
            when_ready(self._until_ready(cluster))
            self._until_signalled(cluster)
            self._stop(cluster)
        finally:
            cluster.end()

    def _until_ready(self, cluster: ClusterProcess) -> list[str]:
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

    def _until_signalled(self, cluster: ClusterProcess) -> None:
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

    def _stop(self, cluster: ClusterProcess) -> None:
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
            name, number = self._next(cluster, min(drain_at, cut_at))
            if number == signal.SIGHUP and self._hung_up:
                continue  # the shell's, for the same reason
            if name == "signal" and time.monotonic() > signalled_at + ONE_WISH_SECONDS:
                cluster.tell("drop")
                drain_at, cut_at = math.inf, min(cut_at, time.monotonic() + STOP_SECONDS)
        if name != "ended":
            say("Serve and Ray did not end by themselves: killing them")

    def _next(self, cluster: ClusterProcess, until: float) -> tuple[str, Any]:
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
            bury(but=cluster.pid)
        elif name == "retry":
            raise RetryError(value)
        elif name == "failed":
            raise LaunchError(value)
        elif name == "ended" and value != 0:
            raise LaunchError(cluster.describe_end(value))
        return name, value

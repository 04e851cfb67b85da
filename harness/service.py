"""The launcher, or another server, as a child process: start, use, stop it. For the demo, benchmarks and tests."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

READY = re.compile(r"ready on (\S+)")
LOGS = re.compile(r"logs in (\S+)/ray/session_latest/logs")
STATE = "FIBONACCI_STATE"
"""The launcher's variable for the folder of durable jobs."""


class StartError(Exception):
    """The service did not come up; the message is what the launcher printed."""


@dataclass
class Service:
    """A running service: where it is and the launcher's process."""

    url: str
    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    """The launcher's lines so far; more come while it runs."""

    @property
    def folder(self) -> Path:
        """The run's folder: logs, token, HAProxy's files."""
        return Path(next(match[1] for line in self.output if (match := LOGS.search(line))))

    @property
    def logs(self) -> Path:
        """Ray's logs; Serve's are in a folder there."""
        return self.folder / "ray/session_latest/logs"

    def stop(self, number: signal.Signals = signal.SIGINT, timeout_seconds: float = 60) -> int:
        """Send the signal and wait; the launcher's exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_seconds)


def launched(*options: str, **how: Any) -> contextlib.AbstractContextManager[Service]:
    """Run ``python -m deployments.launch`` with these options, on a free port unless they say otherwise.

    ``how`` goes to ``started``.
    """
    return started("deployments.launch", "--port", "0", *options, **how)


@contextlib.contextmanager
def started(
    module: str,
    *arguments: str,
    start_seconds: float = 200,
    hear: Callable[[str], None] | None = None,
    within: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    python: str = sys.executable,
    state: Path | None = None,
) -> Iterator[Service]:
    """Run ``python -m module`` with these arguments until it prints "ready on URL".

    ``within`` is a command that becomes another one, as ``setpriv`` and ``ip netns exec NAME`` do.
    ``hear`` gets each line printed until then. ``state`` keeps its durable jobs; without it they go with the block,
    whatever folder this process's own environment names.
    Raises ``StartError`` if that does not happen. Nothing that it started is left when the block ends.
    """
    with _state_of_its_own() if state is None else contextlib.nullcontext(state) as place:
        given = dict(os.environ if environment is None else environment)
        if state is not None or given.get(STATE) == os.environ.get(STATE):
            given[STATE] = str(place)
        with _running([*within, python, "-m", module, *arguments], given, folder, start_seconds, hear) as service:
            yield service


@contextlib.contextmanager
def _state_of_its_own() -> Iterator[Path]:
    with TemporaryDirectory(prefix="fibonacci-state-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o1777)  # the service may run as another user
        yield Path(name)


@contextlib.contextmanager
def _running(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | None,
    start_seconds: float,
    hear: Callable[[str], None] | None,
) -> Iterator[Service]:
    process = subprocess.Popen(  # noqa: S603 (this project's own modules)
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A Ctrl-C here must not reach it before we stop it. No session of its own: where Linux shares the cores between
        # sessions first (sched_autogroup), the niceness of its workers would not count beside what runs here.
        process_group=0,
    )
    service = Service("", process)
    ready: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(service, ready, hear), daemon=True)
    reader.start()
    try:
        with contextlib.suppress(queue.Empty):
            service.url = ready.get(timeout=start_seconds) or ""
        if not service.url:
            raise StartError("".join(service.output) or f"silent for {start_seconds} s")
        yield service
    finally:
        _end(process)
        reader.join(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


def _read(service: Service, ready: "queue.Queue[str | None]", hear: Callable[[str], None] | None) -> None:
    assert service.process.stdout is not None  # noqa: S101 (for the type checker)
    for line in service.process.stdout:
        service.output.append(line)
        if hear and not service.url:
            hear(line.rstrip("\n"))
        if match := READY.search(line):
            ready.put(match[1])
    ready.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask twice, then kill: the launcher's own handler stops everything in a few seconds."""
    for patience_seconds in (15, 30):
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_seconds)
            return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(5)  # Ray's processes notice and follow

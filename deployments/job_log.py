"""A line for each job that is over, in a file of the process's own beside its log of Serve's, and rotated like that.

Not in that log: by way of Python's ``logging`` a line cost a fifth of the time that a small job takes in the ingress.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

from app.observe.job_line import FORMS, line_of
from app.observer import EndedBatch, EndedJob, RetryCause
from app.settings import Settings

REPLICA = "replica_"
"""What Serve's file of a replica begins with."""
JOBS = "jobs_"

logger = logging.getLogger("ray.serve")


def job_log(settings: Settings, *, durable: bool) -> "JobLog | None":
    """The process's, if there is to be one. ``durable``: whether its jobs are."""
    if settings.job_log is None:
        return None
    if (log := serve_log()) is None:
        logger.warning("no line a job: this process has no log of Serve's in a file")
        return None
    return JobLog(settings.job_log, log, durable=durable)


class JobLog:
    """An ``Observer`` that writes the line at once: the lines of jobs that end together in one go.

    Small jobs come back from their worker together. A write for each, which lets go of the interpreter's lock,
    cost twice as much.
    """

    def __init__(
        self, form: str, log: RotatingFileHandler, *, durable: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        """``form``: one of ``FORMS``; ``log``: Serve's; ``durable``: whether the jobs are."""
        self._form = FORMS[form]
        self._durable = durable
        self._clock = clock
        self._file = RotatingFileHandler(
            beside(Path(log.baseFilename)), maxBytes=log.maxBytes, backupCount=log.backupCount
        )
        self._max_bytes = log.maxBytes if log.backupCount else 0
        self._second, self._date = -1, ""
        self._ended: list[EndedJob] = []
        self._opened()

    def batch_ended(self, batch: EndedBatch) -> None:
        """Nothing, as of the next: only jobs have lines."""

    def retried(self, cause: RetryCause) -> None: ...

    def job_ended(self, job: EndedJob) -> None:
        """As ``Observer`` says."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._write)
        self._ended.append(job)

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _write(self) -> None:
        """On a full disk the lines are lost, and nothing else."""
        now, ended, self._ended = self._now(), self._ended, []
        lines = [line_of(job, now, self._form, durable=self._durable) for job in ended]
        written = "".join(lines).encode()
        with contextlib.suppress(OSError):
            if 0 < self._max_bytes < self._size + len(written):
                self._file.doRollover()
                self._opened()
            self._size += os.write(self._descriptor, written)

    def _now(self) -> str:
        """RFC 3339, in UTC. What changes once a second is made once a second."""
        now = self._clock()
        if (second := int(now)) != self._second:
            self._second, self._date = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._date}.{int(1000 * (now - second)):03d}Z"

    def _opened(self) -> None:
        stream = self._file.stream
        assert stream is not None  # noqa: S101 (for the type checker)
        self._descriptor, self._size = stream.fileno(), stream.tell()


def serve_log() -> RotatingFileHandler | None:
    """Serve's log of this process, if it has one; Serve keeps a buffer in front of it."""
    for handler in logging.getLogger("ray.serve").handlers:
        if isinstance(target := getattr(handler, "target", handler), RotatingFileHandler):
            return target
    return None


def beside(log: Path) -> Path:
    """The file of the lines of the replica that has this log."""
    return log.with_name(JOBS + log.name.removeprefix(REPLICA))

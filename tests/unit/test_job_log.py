"""The file of the lines: beside Serve's log, written at once, rotated like it."""

import asyncio
import errno
import json
import logging
import os
from collections.abc import Iterator
from logging.handlers import MemoryHandler, RotatingFileHandler
from pathlib import Path

import pytest

from app.settings import Settings
from deployments.job_log import JobLog, job_log, serve_log
from tests.ended_jobs import record, succeeded

JOB = succeeded(record())
NOW = 1_800_000_000.25


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RotatingFileHandler]:
    """Serve's, of a replica."""
    with_limits = RotatingFileHandler(tmp_path / "replica_fibonacci_it_1.log", maxBytes=1_000, backupCount=2)
    yield with_limits
    with_limits.close()


def told(log: JobLog, number: int = 1) -> None:
    """So many jobs end, one after the other."""

    async def end() -> None:
        for _ in range(number):
            log.job_ended(JOB)
            await asyncio.sleep(0)

    asyncio.run(end())


def lines(folder: Path, name: str = "jobs_fibonacci_it_1.log") -> list[str]:
    return (folder / name).read_text().splitlines()


@pytest.fixture
def made(log: RotatingFileHandler) -> Iterator[JobLog]:
    """Of that replica's jobs."""
    lines_file = JobLog("json", log, clock=lambda: NOW)
    yield lines_file
    lines_file.close()


def test_a_line_is_there_at_once_and_says_when(made: JobLog, tmp_path: Path) -> None:
    told(made)
    (line,) = map(json.loads, lines(tmp_path))
    assert (line["time"], line["fibonacci_job"]) == ("2027-01-15T08:00:00.250Z", "1" * 32)


def test_jobs_that_end_together_have_a_line_each(made: JobLog, tmp_path: Path) -> None:
    async def end() -> None:
        made.job_ended(JOB)
        made.job_ended(JOB)
        await asyncio.sleep(0)
        assert len(lines(tmp_path)) == 2

    asyncio.run(end())


def test_a_full_disk_costs_the_lines_and_nothing_else(
    made: JobLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        told(made)
    told(made)
    assert len(lines(tmp_path)) == 1


def test_it_is_rotated_like_serves_log(made: JobLog, tmp_path: Path) -> None:
    told(made, 20)
    names = sorted(path.name for path in tmp_path.glob("jobs_*"))
    assert names == ["jobs_fibonacci_it_1.log", "jobs_fibonacci_it_1.log.1", "jobs_fibonacci_it_1.log.2"]
    for name in names:
        assert (tmp_path / name).stat().st_size <= 1_000
        assert all(json.loads(line) for line in lines(tmp_path, name))


def test_what_was_there_stays_and_counts(made: JobLog, log: RotatingFileHandler, tmp_path: Path) -> None:
    told(made)
    again = JobLog("text", log, clock=lambda: NOW)
    told(again, 2)
    again.close()
    assert len(lines(tmp_path)) + len(lines(tmp_path, "jobs_fibonacci_it_1.log.1")) == 3


def test_a_log_that_is_never_rotated_has_lines_that_are_not_either(tmp_path: Path) -> None:
    endless = RotatingFileHandler(tmp_path / "replica_fibonacci_it_1.log", maxBytes=1_000, backupCount=0)
    made = JobLog("text", endless, clock=lambda: NOW)
    told(made, 20)
    made.close()
    endless.close()
    assert len(lines(tmp_path)) == 20


def test_serves_log_is_found_behind_its_buffer(log: RotatingFileHandler, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("ray.serve")
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(), MemoryHandler(1, target=log)])
    assert serve_log() is log
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler()])
    assert serve_log() is None


def test_where_serve_has_no_log_there_are_no_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "ray.serve")  # the launcher raises it, in this process too
    monkeypatch.setattr(logging.getLogger("ray.serve"), "handlers", [])
    monkeypatch.setattr(logging.getLogger("ray.serve"), "propagate", True)  # Serve, once it has run here, stops that
    told = "no line a job: this process has no log of Serve's in a file"
    assert job_log(Settings(job_log=None), durable=False) is None
    assert told not in caplog.messages
    assert job_log(Settings(), durable=False) is None
    assert told in caplog.messages

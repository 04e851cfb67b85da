"""Signals to the launcher with jobs in flight: each stops the service that it is given."""

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chaos.caller import post
from chaos.jobs import JobSpec
from chaos.load import all_at_once
from chaos.outcome import Check, Outcome, outcome_of
from chaos.rows.serving import HAPROXY
from chaos.stage import Stage
from deployments.launcher.supervisor import ONE_WISH_SECONDS
from harness import bounds
from harness.callers import LONG_JOB, is_ended_within, open_request
from harness.processes import alive, descendants

JOBS = 8
JOB = JobSpec(100_000, 40)
"""About a core-second: all end within the grace period, and not at once."""
GRACE_AND_EXIT_SECONDS = 60.0
SHORT_GRACE_SECONDS = 4.0
TINY_JOB = {"sequence_size": 10, "num_sequences": 1}


def sigterm(stage: Stage) -> Outcome:
    """As an orchestrator stops it."""
    return _stopped(stage, signal.SIGTERM)


def sigint(stage: Stage) -> Outcome:
    """As Ctrl-C stops it."""
    return _stopped(stage, signal.SIGINT)


def group_sigterm(stage: Stage) -> Outcome:
    """As `timeout` and systemd's default stop it: every process of the group gets the signal."""
    return _stopped(stage, signal.SIGTERM, os.killpg)


def group_sighup(stage: Stage) -> Outcome:
    """As a closed terminal stops it."""
    return _stopped(stage, signal.SIGHUP, os.killpg)


def _stopped(stage: Stage, number: signal.Signals, send: Callable[[int, int], None] = os.kill) -> Outcome:
    """``stage.pid`` is the launcher's group too: see ``harness.service``."""
    everything = descendants(stage.pid)
    with ThreadPoolExecutor(1) as callers:
        posted = callers.submit(all_at_once, stage.url, [JOB] * JOBS)
        in_flight = stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == JOBS), 10)
        begun = time.monotonic()
        send(stage.pid, number)
        code = stage.service.process.wait(GRACE_AND_EXIT_SECONDS)
        stopped_after = time.monotonic() - begun
    return outcome_of(
        posted.result(),
        Check("all in flight after, s", in_flight, 10, quiet=True),
        Check("exit code", code, 0, "="),
        Check("stopped after, s", stopped_after, GRACE_AND_EXIT_SECONDS),
        Check("processes left", len(alive(everything)), 0),
    )


def dropped(stage: Stage) -> Outcome:
    """SIGTERM with a job that takes longer than the grace: meanwhile new ones are refused, then it is dropped."""

    def refused() -> list[Check]:
        answer = asyncio.run(post(stage.url, TINY_JOB))
        problem = answer.json()
        return [
            Check("status of a new job", answer.status, 503, "="),
            Check("it says that the service is draining", problem["type"] == "/problems/draining", 1, "="),
            Check("its Retry-After, s", int(answer.headers.get("retry-after", 0)), 1, ">="),
        ]

    return _dropped(stage, refused, SHORT_GRACE_SECONDS, SHORT_GRACE_SECONDS + bounds.SHUTDOWN)


def signalled_twice(stage: Stage) -> Outcome:
    """A second SIGTERM while it waits for a job: it waits no longer, though the grace is 30 s."""

    def again() -> list[Check]:
        time.sleep(2 * ONE_WISH_SECONDS)  # sooner, both are one wish
        stage.service.process.send_signal(signal.SIGTERM)
        return []

    return _dropped(stage, again, 0.0, bounds.SHUTDOWN)


def _dropped(stage: Stage, meanwhile: Callable[[], list[Check]], at_least: float, at_most: float) -> Outcome:
    """SIGTERM, and something else while it waits for one long job. Anything but an end with it dropped is broken.

    Serve's own proxy waits half a minute for the dropped connection: with it the time is reported, not promised.
    """
    everything = descendants(stage.pid)
    limit = at_most if stage.processes(HAPROXY) else None
    with open_request(stage.service, LONG_JOB) as connection:
        in_flight = stage.until(lambda: bool(stage.pool()["unfinished_jobs"] == 1), 10)
        begun = time.monotonic()
        stage.service.process.send_signal(signal.SIGTERM)
        waits = stage.until(lambda: _says(stage, "waiting for 1 job"), 10)
        checks = meanwhile()
        code = stage.service.process.wait(GRACE_AND_EXIT_SECONDS)
        stopped_after = time.monotonic() - begun
        told = is_ended_within(connection, 1.0)
    said = stage.until(lambda: _says(stage, "dropping 1 unfinished job"), 1)
    return Outcome(
        requests=1,
        failed=1,
        checks=[
            Check("in flight after, s", in_flight, 10, quiet=True),
            Check("it says that it waits after, s", waits, 10, quiet=True),
            *checks,
            Check("it says that it drops 1 job", math.isfinite(said), 1, "="),
            Check("its caller is cut off, or has a 5xx", told, 1, "="),
            Check("exit code", code, 0, "="),
            Check("stopped after at least, s", stopped_after, at_least, ">=", quiet=True),
            Check("stopped after, s", stopped_after, limit),
            Check("processes left", len(alive(everything)), 0),
        ],
    )


def _says(stage: Stage, words: str) -> bool:
    return any(words in line for line in list(stage.service.output))

"""Requests that nobody should send."""

import time

import psutil

from chaos.outcome import Check, Outcome
from chaos.rows.serving import HAPROXY, INGRESS
from chaos.stage import Stage
from harness import bounds
from harness.hostile_requests import BODIES, TYPES
from harness.hostile_requests import HAPROXY as BY_HAPROXY
from harness.raw_socket import CHUNKED, RawConnection, request

ROUNDS = 10
BODY_TIMEOUT_SECONDS = 10.0
"""The setting's default."""
ENDLESS_HEAD = request(b"", headers=CHUNKED, length=b"")
CHUNK = b"10000\r\n" + b" " * 65_536 + b"\r\n"
GIGABYTE = 1_000_000_000
TOO_LONG, TOO_SLOW = 413, 408
UNANSWERED = 0


def refused(stage: Stage) -> Outcome:
    """Each body and content type that the application itself refuses, a body without end, and one that comes slowly.

    Serve's own proxy passes on 30 MB of a body without end before it hears of the refusal, and the ingress keeps them:
    with it the growth is reported, not promised.
    """
    hostile = [each for each in (*BODIES, *TYPES) if each.media_type != BY_HAPROXY]
    (ingress,) = stage.processes(INGRESS)
    _ask(stage, ENDLESS_HEAD, CHUNK)  # warm: the first chunked body takes memory once
    for each in hostile:
        _ask(stage, each.data)
    batches, megabytes = _completed_batches(stage), _megabytes(ingress)
    wrong, slowest = 0, 0.0
    for each in hostile:
        asked = [_ask(stage, each.data) for _ in range(ROUNDS)]
        wrong += sum(status != each.status for status, _ in asked)
        slowest = max(slowest, min(seconds for _, seconds in asked))
    endless = [_ask(stage, ENDLESS_HEAD, CHUNK)[0] for _ in range(ROUNDS)]
    flat = bounds.MEMORY_FLAT / 1e6 if stage.processes(HAPROXY) else None
    slow, slow_seconds = _ask(stage, request(b"", length=b"100"))
    return Outcome(
        requests=ROUNDS * (len(hostile) + 1) + 1,
        failed=wrong,
        checks=[
            Check("answered otherwise than documented", wrong, 0),
            Check("refused after (the slowest one's best of ten), s", slowest, bounds.HOSTILE_REFUSED),
            Check("bodies without end not ended by a 413", sum(status != TOO_LONG for status in endless), 0),
            Check("status of a body that does not come", slow, TOO_SLOW, "="),
            Check("it comes after, s", slow_seconds, BODY_TIMEOUT_SECONDS + bounds.SLOW_REFUSED),
            Check("batches computed", _completed_batches(stage) - batches, 0),
            Check("growth of the ingress, MB", _megabytes(ingress) - megabytes, flat),
            *stage.left_behind(),
        ],
    )


def _ask(stage: Stage, head: bytes, again: bytes = b"") -> tuple[int, float]:
    """The status, and after how many seconds; ``again`` is sent until there is one."""
    with RawConnection(stage.url, BODY_TIMEOUT_SECONDS + 2 * bounds.SLOW_REFUSED) as connection:
        begun = time.perf_counter()
        connection.send(head)
        if again:
            connection.send_until_answered(again, GIGABYTE)
        try:
            status = connection.answer().status
        except (OSError, ValueError, AssertionError):
            status = UNANSWERED
        return status, time.perf_counter() - begun


def _completed_batches(stage: Stage) -> int:
    time.sleep(bounds.POOL_AGE)
    return sum(worker["completed_batches"] for worker in stage.pool()["workers"])


def _megabytes(process: psutil.Process) -> float:
    rss: int = process.memory_info().rss
    return rss / 1e6

"""Callers that send slowly, or stop, or do nothing more: they are sent away in time, and nobody waits for them."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx

from app.settings import Settings
from deployments.launcher.timeouts import KEEP_ALIVE_SECONDS
from harness import bounds
from harness.hostile_requests import APP, HAPROXY
from harness.raw_socket import CHUNKED, RawConnection, request
from harness.service import Service
from tests.serve.callers import assert_short_jobs_are_short

BODY_SECONDS = Settings().body_timeout_seconds
HEAD_SECONDS = 10.0  # serve_config.yaml: timeout http-request
CLIENT_SECONDS = 15.0  # serve_config.yaml: RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S


@dataclass(frozen=True, slots=True)
class Slow:
    """A beginning, then ``drop`` once a second."""

    beginning: bytes
    drop: bytes
    over_after_seconds: float
    status: int = 408
    media_type: str = APP


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
WITHOUT_END = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: "
SLOW = [
    Slow(request(b"", length=b"6000"), b" ", BODY_SECONDS),
    Slow(request(b'{"seq', length=b"6000"), b"", BODY_SECONDS),
    Slow(request(b"", headers=CHUNKED, length=b""), b"1\r\n \r\n", BODY_SECONDS),
    Slow(request(b"2;" + b"a" * 100_000, headers=CHUNKED, length=b""), b"a", BODY_SECONDS),
    Slow(request(b"", length=b"6000", content_type=b"text/plain"), b" ", 0.0, 415),
    Slow(WITHOUT_END, b"a", HEAD_SECONDS, media_type=HAPROXY),
    Slow(WITHOUT_END, b"", HEAD_SECONDS, media_type=HAPROXY),
    Slow(b"", b"", HEAD_SECONDS, media_type=HAPROXY),
]


def send_slowly(service: Service, slow: Slow) -> str:
    """What is wrong about how it ended; "" if nothing."""
    with RawConnection(service.url) as connection:
        connection.send(slow.beginning)
        started_at = time.monotonic()
        while not connection.readable(1.0) and time.monotonic() - started_at < 30:
            connection.send(slow.drop)
        seconds, answer = time.monotonic() - started_at, connection.answer()
        late = not slow.over_after_seconds - 0.1 <= seconds < slow.over_after_seconds + bounds.SLOW_REFUSED
        wrong = (answer.status, answer.media_type) != (slow.status, slow.media_type)
        stays = not connection.is_cut_within(CLIENT_SECONDS + bounds.SLOW_REFUSED, slow.drop)
    return f"{slow}: {answer} after {seconds} s, {stays=}" if late or wrong or stays else ""


def idle_seconds(service: Service) -> float:
    """How long a connection stays open that has had its answer."""
    with RawConnection(service.url) as connection:
        connection.send(LIVEZ)
        assert connection.answer().status == 200
        begun = time.monotonic()
        assert connection.ends_within(KEEP_ALIVE_SECONDS + 2)
        return time.monotonic() - begun


def test_slow_and_idle_callers_are_sent_away_and_nobody_waits_for_them(service: Service, client: httpx.Client) -> None:
    with ThreadPoolExecutor(len(SLOW) + 1) as pool, ExitStack() as others:
        for _ in range(200):
            others.enter_context(RawConnection(service.url)).send(request(b"{", length=b"6000"))
        idle = pool.submit(idle_seconds, service)
        ends = [pool.submit(send_slowly, service, slow) for slow in SLOW]
        assert_short_jobs_are_short(client)
        assert "\n".join(end.result() for end in ends).strip() == ""
        assert idle.result() > KEEP_ALIVE_SECONDS - 2

"""Requests that are odd but legal get the right answer, and what was refused leaves the connection in step."""

import contextlib
import json
import shutil
import subprocess
import time

import pytest

from app.http.unread_body import MAX_SILENT_SECONDS
from harness import bounds
from harness.hostile_requests import ALL, APP, HAPROXY, Hostile
from harness.raw_socket import CHUNKED, Answer, RawConnection, chunked, request
from harness.service import Service

JOB = b'{"sequence_size": 10, "num_sequences": 1}'


def job(size: int) -> bytes:
    """A request whose answer is told from others by its size."""
    return request(b'{"sequence_size": %d, "num_sequences": 1}' % size)


def sizes(answer: Answer) -> list[int]:
    assert answer.status == 200, answer
    found: list[int] = json.loads(answer.body)["sizes"]
    return found


@pytest.mark.parametrize(
    "data",
    [
        request(JOB, line=b"POST /fibonacci HTTP/1.0"),
        request(JOB, line=b"POST /fibonacci HTTP/1.0", headers=b"Connection: keep-alive\r\n"),
        request(JOB).replace(b"\r\n", b"\n"),
        request(JOB, line=b"POST http://x/fibonacci HTTP/1.1"),
        request(JOB, line=b"POST /fib%6Fnacci HTTP/1.1"),
        request(JOB, line=b"POST /fibonacci?a=b&a=%00 HTTP/1.1"),
        request(chunked(JOB[:5], JOB[5:6], JOB[6:]), headers=CHUNKED, length=b""),
        request(b"29;name=value\r\n" + JOB + b"\r\n0\r\nX-Trailer: 1\r\n\r\n", headers=CHUNKED, length=b""),
        request(JOB, headers=b"Content-Length: %d\r\n" % len(JOB)),
        request(JOB, headers=b"Content-Encoding: identity\r\n"),
        request(JOB, headers=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
        request(JOB, headers=b"X-A: \xff\xfe\r\n"),
    ],
    ids=[
        "HTTP/1.0", "HTTP/1.0 kept alive", "LF-only line ends", "absolute form", "encoded letter", "query", "chunked",
        "chunk extension and trailer", "length said twice", "identity", "h2c offered", "header beyond ASCII",
    ],
)  # fmt: skip
def test_it_is_answered(service: Service, data: bytes) -> None:
    with RawConnection(service.url) as connection:
        connection.send(data)
        assert sizes(connection.answer()) == [10]


def test_http_1_0_ends_the_connection(service: Service) -> None:
    with RawConnection(service.url) as connection:
        connection.send(request(JOB, line=b"POST /fibonacci HTTP/1.0"))
        assert sizes(connection.answer()) == [10]
        assert connection.ends_within(1.0)


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    with RawConnection(service.url) as connection:
        connection.send(job(50_000) + job(20) + request(b"{") + job(30))
        assert sizes(connection.answer()) == [50_000]
        assert sizes(connection.answer()) == [20]
        assert connection.answer().status == 400
        assert sizes(connection.answer()) == [30]


def test_who_expects_100_gets_it_before_the_answer(service: Service) -> None:
    with RawConnection(service.url) as connection:
        connection.send(request(b"", length=b"%d" % len(JOB), headers=b"Expect: 100-continue\r\n"))
        assert connection.answer(or_interim=True).status == 100
        connection.send(JOB)
        assert sizes(connection.answer()) == [10]


@pytest.mark.parametrize(
    ("content_type", "status"), [(b"application/json", 413), (b"text/plain", 415)], ids=["too long", "not JSON"]
)
def test_who_expects_100_and_is_refused_gets_no_100(service: Service, content_type: bytes, status: int) -> None:
    head = request(b"", length=b"1000000000", content_type=content_type, headers=b"Expect: 100-continue\r\n")
    for _ in range(20):
        with RawConnection(service.url) as connection:
            connection.send(head)
            assert connection.answer(or_interim=True).status == status


def test_a_body_may_come_in_many_small_segments(service: Service) -> None:
    data = request(JOB)
    with RawConnection(service.url) as connection:
        for i in range(len(data)):
            connection.send(data[i : i + 1])
            time.sleep(0.001)
        assert sizes(connection.answer()) == [10]


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/pool", b"/openapi.json", b"/docs", b"/problems/deadline"])
def test_head_is_get_without_a_body(service: Service, path: bytes) -> None:
    with RawConnection(service.url) as connection:
        connection.send(b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        head = connection.answer(to_head=True)
        connection.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        get = connection.answer()
        assert (head.status, head.media_type) == (get.status, get.media_type) == (200, head.media_type)


@pytest.mark.parametrize("data", [request(JOB), b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["job", "livez"])
def test_a_half_closed_connection_is_taken_for_a_caller_that_left(service: Service, data: bytes) -> None:
    with RawConnection(service.url) as connection:
        connection.send(data)
        connection.end_sending()
        with contextlib.suppress(ConnectionError):  # or it just ends
            answer = connection.answer()
            assert (answer.status, answer.media_type) == (400, HAPROXY)


def test_http_2_without_tls_is_not_spoken(service: Service) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    with RawConnection(service.url) as connection:
        connection.send(preface)
        assert connection.answer().status == 400
        assert connection.ends_within(1.0)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_gets_no_answer_over_http_2_without_tls(service: Service) -> None:
    command = ["curl", "-s", "--noproxy", "*", "--http2-prior-knowledge", "--max-time", "5", f"{service.url}/livez"]
    done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


def test_options_says_what_is_allowed(service: Service) -> None:
    with RawConnection(service.url) as connection:
        connection.send(b"OPTIONS /fibonacci HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("hostile", [h for h in ALL if h.media_type == APP], ids=lambda hostile: hostile.name)
def test_after_a_refusal_the_next_request_is_the_next_request(service: Service, hostile: Hostile) -> None:
    """Or there is none: the connection ends."""
    with RawConnection(service.url) as connection:
        connection.send(hostile.data)
        assert connection.answer().status == hostile.status
        connection.send(job(77))
        if connection.readable(0.5):
            with contextlib.suppress(ConnectionError):
                assert sizes(connection.answer()) == [77]
        else:  # it was taken for the rest of a body that nobody reads
            connection.readable(MAX_SILENT_SECONDS)
            assert connection.is_cut_within(bounds.SLOW_REFUSED, b" ")

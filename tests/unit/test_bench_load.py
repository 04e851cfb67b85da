"""The open loops against a real server that stalls: what was due meanwhile must show, as it did to its callers."""

import importlib.util
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest

from benchmarks import locust_load, wrk
from benchmarks.loads import LoadError
from benchmarks.needs import WRK

RATE, SECONDS, STALL_SECONDS = 200, 2.0, 0.5


class Answer(BaseHTTPRequestHandler):
    """One at a time; the whole server stalls once, at the hundredth."""

    protocol_version = "HTTP/1.1"
    answering = threading.Lock()
    answered = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with Answer.answering:
            Answer.answered += 1
            if Answer.answered == 100:
                time.sleep(STALL_SECONDS)
        self.send_response(503 if self.path == "/refused" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Nothing."""


class Server(ThreadingHTTPServer):
    request_queue_size = 1000

    def handle_error(self, request: object, client_address: object) -> None:
        """A load generator that has measured enough just leaves."""


@pytest.fixture
def stalling_server() -> Iterator[str]:
    Answer.answered = 0
    with Server(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


NEEDS_WRK = pytest.mark.skipif(bool(WRK.missing), reason=str(WRK.missing))
NEEDS_LOCUST = pytest.mark.skipif(not importlib.util.find_spec("locust"), reason="locust comes with `make bench`")
both = pytest.mark.parametrize(
    "generator",
    [pytest.param(wrk, marks=NEEDS_WRK, id="wrk"), pytest.param(locust_load, marks=NEEDS_LOCUST, id="locust")],
)


@both
def test_a_stall_of_half_a_second_shows_in_the_percentiles(generator: ModuleType, stalling_server: str) -> None:
    figures = generator.open_loop(stalling_server, RATE, SECONDS)

    # A quarter of all arrivals falls into the stall; a closed loop would have sent one request a connection.
    assert Answer.answered == RATE * SECONDS
    assert figures["p50_ms"] < 100
    assert 400 < figures["p99_ms"] < 1000
    assert figures["p99_ms"] <= figures["p999_ms"]


@both
def test_a_closed_loop_counts_every_answer(generator: ModuleType, stalling_server: str) -> None:
    figures = generator.closed_loop(stalling_server, 4, 1)

    assert 50 < figures["requests_per_second"] <= Answer.answered / 0.9
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


@both
def test_a_refused_request_is_no_figure(generator: ModuleType, stalling_server: str) -> None:
    with pytest.raises(LoadError):
        generator.closed_loop(f"{stalling_server}refused", 4, 1)
    with pytest.raises(LoadError):
        generator.open_loop(f"{stalling_server}refused", 20, 0.5)

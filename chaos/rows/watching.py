"""The live page, watched by as many as may: nobody else is delayed by them, and they are no weight."""

import contextlib
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from app.http.timeline_api import MAX_STREAMS
from chaos.durable_jobs import TINY
from chaos.load import open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import Record
from chaos.rows.deploying import redeployed
from chaos.stage import Stage
from harness import bounds

ROUNDS, ROUND_SECONDS, A_SECOND = 4, 15.0, 40.0
"""In turns unwatched and watched; so many tiny jobs a second."""
WARM_SECONDS = 10.0
SMALL_WINDOW_BYTES = 4_096
"""Of one who does not read: what is sent soon waits in the ingress."""
REQUEST = "GET /timeline/stream HTTP/1.1\r\nHost: {host}\r\n\r\n"


def stalled(stage: Stage) -> Outcome:
    """Tiny jobs, in turns alone and beside viewers none of whom ever reads."""
    alone, beside = Record(), Record()
    _tiny_jobs(stage, WARM_SECONDS)
    before = _ingress_megabytes(stage)
    opened, grown = 0, []
    for _ in range(ROUNDS):
        _add(alone, _tiny_jobs(stage))
        with _viewers(stage.url, _do_not_read) as viewers:
            _add(beside, _tiny_jobs(stage))
            opened = max(opened, sum(viewers.values()))
            grown.append(_ingress_megabytes(stage) - before)
    p99, p99_alone = beside.percentile_ms(99) / 1e3, alone.percentile_ms(99) / 1e3
    outcome = outcome_of(
        beside,
        Check("viewers", opened, MAX_STREAMS, "="),
        Check("tiny jobs beside them p99, s", p99, bounds.WATCHED * p99_alone + bounds.WATCHED_MORE),
        Check("tiny jobs alone failed", len(alone.failures), 0, quiet=True),
        Check("growth of the ingress, MB", statistics.median(grown), bounds.WATCHED_MB),
        *stage.left_behind(),
    )
    outcome.notes.append(
        "in ms: alone p50 {:.1f}, p99 {:.1f}; beside them p50 {:.1f}, p99 {:.1f}".format(
            *(record.percentile_ms(percent) for record in (alone, beside) for percent in (50, 99))
        )
    )
    return outcome


def redeployed_watched(stage: Stage) -> Outcome:
    """A redeploy while pages are open: their streams end by themselves, so it takes no longer."""
    with _viewers(stage.url, _read):
        time.sleep(2)
        return redeployed(stage)


def _tiny_jobs(stage: Stage, seconds: float = ROUND_SECONDS) -> Record:
    with open_loop(stage.url, A_SECOND, seconds, TINY) as record:
        time.sleep(seconds)
    return record


def _add(record: Record, more: Record) -> None:
    record.requests += more.requests


def _ingress_megabytes(stage: Stage) -> float:
    return sum(process.memory_full_info().uss for process in stage.processes("FibonacciIngress")) / 1e6


Watch = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def _viewers(url: str, watch: Watch) -> Iterator[dict[int, bool]]:
    """As many as may watch, each of whom comes back when its stream has ended; by number, whether one ever had it."""
    address, over = urlsplit(url), threading.Event()
    served: dict[int, bool] = {}

    def view(number: int) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW_BYTES)
                connection.settimeout(1)
                connection.connect((address.hostname, address.port))
                connection.sendall(REQUEST.format(host=address.netloc).encode())
                served[number] = connection.recv(12) == b"HTTP/1.1 200" or served.get(number, False)
                watch(connection, over)
            over.wait(0.2)

    threads = [threading.Thread(target=view, args=(number,)) for number in range(MAX_STREAMS)]
    for thread in threads:
        thread.start()
    try:
        yield served
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _do_not_read(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(40)  # the service has let go of it by then


def _read(connection: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        try:
            if not connection.recv(65_536):
                return
        except TimeoutError:
            continue

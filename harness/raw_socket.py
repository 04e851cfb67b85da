"""A caller on a bare socket that sends any bytes it likes and reads what is answered."""

import contextlib
import select
import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx


@dataclass(frozen=True, slots=True)
class Answer:
    """One final answer; ``headers`` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Without parameters."""
        return self.headers.get("content-type", "").partition(";")[0]


class RawConnection:
    """One TCP connection to the service."""

    def __init__(self, url: str, timeout_seconds: float = 5.0) -> None:
        address = httpx.URL(url)
        self._socket = socket.create_connection((address.host, address.port or 80), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send it all; returns whether the other side took it."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)
            return True
        return False

    def send_until_answered(self, data: bytes, max_bytes: int) -> int:
        """Send it again and again until there is something to read; how many bytes were sent, at most ``max_bytes``."""
        num_sent = 0
        while num_sent < max_bytes and not self.readable(0) and self.send(data):
            num_sent += len(data)
        return num_sent

    def send_until_cut(self, data: bytes, max_bytes: int) -> int:
        """Send it again and again until the other side takes no more; how many bytes, at most ``max_bytes``."""
        num_sent = 0
        while num_sent < max_bytes and self.send(data):
            num_sent += len(data)
        return num_sent

    def end_sending(self) -> None:
        """Say that no more comes, and go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def readable(self, seconds: float) -> bool:
        """Whether an answer, or the end, comes within so many seconds."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def answer(self, *, to_head: bool = False, or_interim: bool = False) -> Answer:
        """The next answer. Raises ConnectionError if the connection ends before it has come; TimeoutError."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(status_line.split(" ")[1])
        if status < 200:
            return Answer(status, headers, b"") if or_interim else self.answer(to_head=to_head)
        if "transfer-encoding" in headers:
            raise AssertionError("an answer in chunks")
        length = 0 if to_head else int(headers["content-length"])
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(status, headers, body)

    def ends_within(self, seconds: float) -> bool:
        """Whether the other side ends the connection, saying no more."""
        give_up_at = time.monotonic() + seconds
        try:
            while self.readable(max(0.0, give_up_at - time.monotonic())):
                self._receive()
        except ConnectionError:
            return not self._received
        return False

    def is_cut_within(self, seconds: float, data: bytes) -> bool:
        """Whether the other side ends the connection while this one goes on sending."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            self.send(data)
            if self.ends_within(0.05):
                return True
        return False

    def _receive(self) -> None:
        if not (data := self._socket.recv(65536)):
            raise ConnectionResetError("the connection ended")
        self._received += data


def request(
    body: bytes = b"{}",
    *,
    line: bytes = b"POST /fibonacci HTTP/1.1",
    headers: bytes = b"",
    content_type: bytes = b"application/json",
    length: bytes | None = None,
) -> bytes:
    """A request's bytes; ``length`` stands in for the body's own, and b"" leaves Content-Length out."""
    length = b"%d" % len(body) if length is None else length
    head = line + b"\r\nHost: x\r\nContent-Type: " + content_type + b"\r\n" + headers
    return head + (b"Content-Length: " + length + b"\r\n" if length else b"") + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunked(*parts: bytes) -> bytes:
    """A body in these chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

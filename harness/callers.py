"""Callers on a bare socket: they send as they like, and leave when they like."""

import json
import socket
import time

import httpx

from harness.service import Service

LONG_JOB: dict[str, object] = {"sequence_size": 10_000_000, "num_sequences": 1}
"""Minutes of computing, on two cores."""


def open_request(service: Service, body: dict[str, object], pause_seconds: float = 0.0, key: str = "") -> socket.socket:
    """Send a job: its body together with its head, or after a pause. Closing the socket is leaving."""
    url = httpx.URL(service.url)
    connection = socket.create_connection((url.host, url.port or 80))
    content = json.dumps(body).encode()
    head = (
        "POST /fibonacci HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + (f"Authorization: Bearer {key}\r\n" if key else "")
        + f"Content-Length: {len(content)}\r\n\r\n"
    ).encode()
    if pause_seconds:
        connection.sendall(head)
        time.sleep(pause_seconds)
        connection.sendall(content)
    else:
        connection.sendall(head + content)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """What has come back so far; nothing while the job runs."""
    try:
        return connection.recv(65_536, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def is_ended_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side ends the connection by then without an answer, or with a 5xx."""
    connection.settimeout(seconds)
    try:
        answer = connection.recv(65_536)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return not answer or answer.split(b" ", 2)[1:2] >= [b"500"]

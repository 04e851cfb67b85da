"""One HTTP request on a connection of its own: cheap enough for hundreds a second beside the service.

A connection each, so that a request fails only by what happens to itself, and leaving is closing.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class UnansweredError(Exception):
    """No whole answer came; the message says what happened instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; the headers' names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


async def get(url: str, path: str, timeout_seconds: float = 10) -> Answer:
    """Raises ``UnansweredError``."""
    return await ask(url, f"GET {path} HTTP/1.1\r\n", timeout_seconds=timeout_seconds)


async def post(
    url: str, body: dict[str, Any], timeout_seconds: float = 120, headers: dict[str, str] | None = None
) -> Answer:
    """Post a job. Raises ``UnansweredError``; if it is cancelled, the caller leaves."""
    content = json.dumps(body).encode()
    head = f"POST /fibonacci HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return await ask(url, head, content, timeout_seconds)


async def ask(url: str, head: str, content: bytes = b"", timeout_seconds: float = 10) -> Answer:
    """Send this head, to which Host is added, and this content. Raises ``UnansweredError``."""
    address = urlsplit(url)
    writer = None
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(f"{head}Host: {address.netloc}\r\nConnection: close\r\n\r\n".encode() + content)
            return _parse(await reader.read())
    except TimeoutError:
        raise UnansweredError(f"no answer within {timeout_seconds:g} s") from None
    except OSError as error:
        raise UnansweredError(type(error).__name__) from error
    finally:
        if writer is not None:
            writer.transport.abort()


def _parse(data: bytes) -> Answer:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise UnansweredError("closed without an answer")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    missing = int(headers.get("content-length", len(body))) - len(body)
    if missing > 0:
        raise UnansweredError("closed in the middle of an answer")
    if missing < 0:
        raise UnansweredError("more than one answer")
    return Answer(int(status_line.split()[1]), headers, body)

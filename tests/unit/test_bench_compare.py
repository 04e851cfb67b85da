"""`make bench-compare`: the other commit's files, and the closed loop that both services get."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.compare import _closed_loop, checked_out

ANSWER = b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}"


def closed_loop(status: bytes) -> tuple[list[float], int]:
    """Seconds of each request to a server that answers so, and how many requests came."""
    num_requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal num_requests
        while await reader.read(1_000):
            num_requests += 1
            writer.write(ANSWER % status)
        writer.close()

    async def main() -> list[float]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await _closed_loop(f"http://127.0.0.1:{port}", {}, connections=3, seconds=0.2)

    return asyncio.run(main()), num_requests


def test_every_answer_of_every_connection_counts() -> None:
    seconds, num_requests = closed_loop(b"200 OK")
    assert len(seconds) == num_requests > 3
    assert all(0 < each < 0.2 for each in seconds)


def test_a_refusal_is_no_answer() -> None:
    with pytest.raises(RuntimeError, match="429"):
        closed_loop(b"429 Too Many Requests")


def test_the_other_commit_has_files_of_its_own() -> None:
    with checked_out("HEAD") as folder:
        assert (folder / "serve_config.yaml").exists()
        assert folder != Path.cwd()
    assert not folder.exists()

"""What people call the service with, as they call it: each posts a body and tells the status that it gets to see."""

import asyncio
import gc
import io
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable

import aiohttp
import httpx
import requests

TIMEOUT_SECONDS = 30
NODE = """
const [url, size, tries] = process.argv.slice(1);
const headers = {"content-type": "application/json"};
for (let i = 0; i < tries; i++) {
  const answer = await fetch(url, {method: "POST", body: Buffer.alloc(+size, 32), headers});
  await answer.text();
  console.log(answer.status);
}
"""

Ask = Callable[[str, int, int], list[int]]
"""Posts that many bytes of JSON to the address, so many times; the statuses. What the client raises, it raises."""


def _ask_requests(url: str, num_bytes: int, tries: int) -> list[int]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Content-Type"] = "application/json"
        return [session.post(url, b" " * num_bytes, timeout=TIMEOUT_SECONDS).status_code for _ in range(tries)]


def _ask_httpx(url: str, num_bytes: int, tries: int) -> list[int]:
    with httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        client.headers["Content-Type"] = "application/json"
        return [client.post(url, content=b" " * num_bytes).status_code for _ in range(tries)]


def _ask_aiohttp(url: str, num_bytes: int, tries: int) -> list[int]:
    async def ask() -> list[int]:
        statuses = []
        async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
            for _ in range(tries):
                async with session.post(url, data=io.BytesIO(b" " * num_bytes)) as answer:
                    await answer.read()
                    statuses.append(answer.status)
        return statuses

    answers = asyncio.run(ask())
    with warnings.catch_warnings():  # it leaves a connection with unsent bytes to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return answers


def _ask_urllib(url: str, num_bytes: int, tries: int) -> list[int]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask() -> int:
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(url, b" " * num_bytes, headers)  # noqa: S310 (the service's own)
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    return [ask() for _ in range(tries)]


def _ask_curl(url: str, num_bytes: int, tries: int) -> list[int]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b" " * num_bytes)
        file.flush()
        body = ("--data-binary", f"@{file.name}", "-H", "Content-Type: application/json")
        command = ["curl", "-sS", "--noproxy", "*", *body, "-o", "/dev/null", "-w", "%{http_code}", url]
        return [int(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(tries)]


def _ask_node(url: str, num_bytes: int, tries: int) -> list[int]:
    command = ["node", "--input-type=module", "-e", NODE, url, str(num_bytes), str(tries)]
    return [int(line) for line in subprocess.run(command, capture_output=True, check=True).stdout.split()]


CLIENTS: dict[str, Ask] = {
    "requests": _ask_requests,
    "httpx": _ask_httpx,
    "aiohttp": _ask_aiohttp,
    "urllib": _ask_urllib,
    "curl": _ask_curl,
    "node": _ask_node,
}


def is_here(name: str) -> bool:
    """Whether this machine has the client."""
    return name not in ("curl", "node") or shutil.which(name) is not None

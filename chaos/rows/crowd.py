"""Many at the door: connections that nobody uses."""

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from chaos.caller import UnansweredError, post
from chaos.outcome import Check, Outcome
from chaos.record import OK
from chaos.rows.timing import probe_until
from chaos.stage import Stage
from harness import bounds
from harness.figures import percentile

CONNECTIONS, OPENED_PER_SECOND = 5_000, 625
"""All are open at once before the first is sent away, after 10 s."""
OPEN_FILES = CONNECTIONS + 1_000
STAY_SECONDS = 12.0
TINY_JOB = {"sequence_size": 10, "num_sequences": 1}
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def idle_connections(stage: Stage) -> Outcome:
    """Half have sent nothing, half are kept after an answer; meanwhile health is asked, and tiny jobs are posted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(OPEN_FILES, hard)), hard))
    return asyncio.run(_idle_connections(stage))


async def _idle_connections(stage: Stage) -> Outcome:
    async with _crowd(stage.url) as gathering:
        over_at = time.monotonic() + CONNECTIONS / OPENED_PER_SECOND + STAY_SECONDS
        probes, jobs = await asyncio.gather(
            probe_until(stage.url, lambda: time.monotonic() > over_at),
            _post_until(stage.url, lambda: time.monotonic() > over_at),
        )
        opened = sum(await gathering)
    asked = probes | {"a tiny job": jobs}
    return Outcome(
        requests=sum(map(len, asked.values())),
        failed=sum(seconds == float("inf") for values in asked.values() for seconds in values),
        checks=[
            Check("idle connections", opened, CONNECTIONS, "="),
            *(Check(f"{what} p99, s", percentile(took, 99), bounds.BESIDE_A_CROWD) for what, took in asked.items()),
            *stage.left_behind(),
        ],
    )


@contextlib.asynccontextmanager
async def _crowd(url: str) -> AsyncIterator["asyncio.Future[list[bool]]"]:
    """Open them one after the other; each stays until the service, or the block's end, closes it."""
    address = urlsplit(url)

    async def stay(number: int) -> bool:
        await asyncio.sleep(number / OPENED_PER_SECOND)
        try:
            _, writer = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            return False
        if number % 2:
            writer.write(LIVEZ)
        staying.append(writer)
        return True

    staying: list[asyncio.StreamWriter] = []
    gathering = asyncio.gather(*(stay(number) for number in range(CONNECTIONS)))
    try:
        yield gathering
    finally:
        for writer in staying:
            writer.transport.abort()


async def _post_until(url: str, is_over: Callable[[], bool]) -> list[float]:
    """Seconds of each tiny job; infinite if it was not answered with 200."""
    took = []
    while not is_over():
        begun = time.perf_counter()
        try:
            status = (await post(url, TINY_JOB, 30)).status
        except UnansweredError:
            status = 0
        took.append(time.perf_counter() - begun if status == OK else float("inf"))
        await asyncio.sleep(0.1)
    return took

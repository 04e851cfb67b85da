"""Requests with names that nobody knows: no process remembers them."""

import asyncio
import time

import psutil

from chaos.caller import UnansweredError, ask
from chaos.outcome import Check, Outcome
from chaos.rows.serving import HAPROXY_MANAGER, INGRESS
from chaos.stage import Stage
from harness import bounds

INVENTED, WARM_UP = 12_000, 1_000
"""Of methods, of paths and of header names each."""
CALLERS = 8
AGENT = "ray::DashboardAgent"
SETTLE_SECONDS = 12.0
"""Metrics go from process to process every 10 s."""


def invented_names(stage: Stage) -> Outcome:
    """Thousands of methods, paths and header names that do not exist."""
    watched = {
        "the ingress": stage.processes(INGRESS),
        "HAProxy's manager": stage.processes(HAPROXY_MANAGER),
        "Ray's agent": stage.processes(AGENT),
    }
    asyncio.run(_invent(stage.url, range(WARM_UP)))
    time.sleep(SETTLE_SECONDS)
    before = {name: _megabytes(processes) for name, processes in watched.items()}
    lost = asyncio.run(_invent(stage.url, range(WARM_UP, WARM_UP + INVENTED)))
    time.sleep(SETTLE_SECONDS)
    grown = {name: _megabytes(processes) - before[name] for name, processes in watched.items()}
    return Outcome(
        requests=3 * INVENTED,
        failed=lost,
        checks=[
            Check("not answered", lost, 0, quiet=True),
            *(Check(f"growth of {name}, MB", megabytes, bounds.MEMORY_FLAT / 1e6) for name, megabytes in grown.items()),
            *stage.left_behind(),
        ],
    )


async def _invent(url: str, numbers: range) -> int:
    """A method, a path and a header's name for each number; how many of these requests were not answered."""
    return sum(await asyncio.gather(*(_ask_all(url, numbers[start::CALLERS]) for start in range(CALLERS))))


async def _ask_all(url: str, numbers: range) -> int:
    lost = 0
    for number in numbers:
        name = f"{number:06d}{'X' * 40}"
        for head in (f"M{name} /livez HTTP/1.1", f"GET /{name} HTTP/1.1", f"GET /livez HTTP/1.1\r\nX-{name}: {name}"):
            try:
                await ask(url, f"{head}\r\n")
            except UnansweredError:
                lost += 1
    return lost


def _megabytes(processes: list[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in processes) / 1e6

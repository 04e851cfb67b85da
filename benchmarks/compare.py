"""``make bench-compare REF=COMMIT``: this tree beside another commit, in turns, in under five minutes.

Prints each main figure's median of both and the ratio of the two, with its spread: what a change costs or brings. Both
services run all the time, in this environment; the one that is not measured has nothing to do.
"""

import argparse
import asyncio
import io
import json
import statistics
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.cpus import CPUS
from benchmarks.workloads import CONNECTIONS, TINY_JOB
from deployments.launcher.console import say
from harness.figures import percentile
from harness.service import Service, launched

ROUNDS = 5
CLOSED_SECONDS = 2.0
SINGLE_JOBS = 150
SMALL_JOBS = {
    "tiny jobs": TINY_JOB,
    "37,000 terms": {"sequence_size": 37_000, "num_sequences": 1},
    "60,000 terms": {"sequence_size": 60_000, "num_sequences": 1},
    "100,000 terms": {"sequence_size": 100_000, "num_sequences": 1},
}
"""What many people have: many callers, each with a job of 3 to 20 ms."""
JOBS = {
    f"{CPUS} x 100,000 terms, s": {"sequence_size": 100_000, "num_sequences": CPUS},
    "64 x 100,000 terms, s": {"sequence_size": 100_000, "num_sequences": 64},
    "1 x 1,000,000 terms, s": {"sequence_size": 1_000_000, "num_sequences": 1},
}
Figures = dict[str, float]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("ref", help="a commit, branch or tag of this repository")
    ref = parser.parse_args().ref
    cpus = ("--cpus", str(CPUS))
    with checked_out(ref) as folder, launched(*cpus) as here, launched(*cpus, folder=folder) as there:
        rounds = list(_rounds(here, there))
    say(f"this tree / {ref}, {len(rounds)} rounds on {CPUS} CPUs: medians, and the ratio's median (least-greatest)")
    for figure in rounds[0][0]:
        ours, theirs = ([values[figure] for values in column] for column in zip(*rounds, strict=True))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
        say(f"  {figure:<40} {statistics.median(ours):>9.4g} / {statistics.median(theirs):>9.4g} = {spread}")


@contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """The files of a commit, in a folder of their own."""
    archive = subprocess.run(["git", "archive", ref], capture_output=True, check=True).stdout  # noqa: S603, S607 (git, found by PATH as a person does)
    with TemporaryDirectory(prefix="fibonacci-compare-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def _rounds(here: Service, there: Service) -> Iterator[tuple[Figures, Figures]]:
    """The first one warms up. Who is first changes each time."""
    for number in range(ROUNDS + 1):
        first, second = (here, there) if number % 2 else (there, here)
        figures = {service.url: _measure(service.url) for service in (first, second)}
        if number:
            say(f"round {number} of {ROUNDS}")
            yield figures[here.url], figures[there.url]


def _measure(url: str) -> Figures:
    figures = {}
    for name, job in SMALL_JOBS.items():
        seconds = asyncio.run(_closed_loop(url, job, CONNECTIONS, CLOSED_SECONDS))
        figures[f"{CONNECTIONS} connections, {name}, jobs/s"] = len(seconds) / CLOSED_SECONDS
        figures[f"{CONNECTIONS} connections, {name}, p99, s"] = percentile(seconds, 99)
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        figures["one tiny job at a time, p50, s"] = statistics.median(
            _seconds(client, TINY_JOB) for _ in range(SINGLE_JOBS)
        )
        for figure, job in JOBS.items():
            repeats = 9 if job["num_sequences"] == CPUS else 1
            figures[figure] = statistics.median(_seconds(client, job) for _ in range(repeats))
        compared = client.post("/fibonacci/compare", json=JOBS["64 x 100,000 terms, s"]).raise_for_status().json()
    return figures | {"compare, 64 x 100,000: speed-up": compared["speedup"]}


def _seconds(client: httpx.Client, job: dict[str, int]) -> float:
    begun = time.perf_counter()
    client.post("/fibonacci", json=job).raise_for_status()
    return time.perf_counter() - begun


async def _closed_loop(url: str, job: dict[str, int], connections: int, seconds: float) -> list[float]:
    """Each connection sends its next request when it has its answer; how long each took."""
    address, taken = httpx.URL(url), list[float]()
    body = json.dumps(job).encode()
    head = f"POST /fibonacci HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    until = time.perf_counter() + seconds

    async def call() -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            while (begun := time.perf_counter()) < until:
                writer.write(request)
                answer = await reader.readuntil(b"\r\n\r\n")
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"not answered: {answer[:80]!r}")
                length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                taken.append(time.perf_counter() - begun)
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(call() for _ in range(connections)))
    return taken


if __name__ == "__main__":
    main()

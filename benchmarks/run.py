"""``make bench``: every peer visited in turn, round by round; then the table, the plots and every figure as JSON."""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks import batch, load, servers, tables
from benchmarks.cpus import CPUS
from benchmarks.figures import Figures
from benchmarks.goals import IN_PROCESS, RUN_LOCAL, RUN_REMOTE, goals
from benchmarks.workloads import FULL, QUICK, Effort

RESULTS = Path("benchmarks/results")
PACKAGES = ("ray", "fastapi", "uvicorn", "gmpy2", "distributed", "pyzmq", "litserve")
BATCH_PEERS = {
    RUN_LOCAL: ("tutorial_local", "a"),
    RUN_REMOTE: ("tutorial_remote", "a"),
    IN_PROCESS: ("in_process", "abc"),
    "multiprocessing.Pool, chunksize=1": ("multiprocessing_pool", "abc", "1"),
    "multiprocessing.Pool": ("multiprocessing_pool", "abc"),
    "ProcessPoolExecutor": ("process_pool_executor", "abc"),
    "Ray tasks": ("ray_tasks", "abc"),
    "Ray ActorPool": ("ray_actor_pool", "abc"),
    "Dask distributed": ("dask_distributed", "abc"),
    "ZeroMQ": ("zeromq", "abc"),
}


LEFT_OUT = [
    "(e), an open loop at a fixed rate, and the peers that need system packages: not built yet",
    "(g) for the tutorial-style Serve application: its queue of single sequences would take minutes",
    "all but (d), (f) and (h) for LitServe: it distributes requests, not what is in one",
]


def main() -> int:
    """Measure, write, print; 1 if a peer failed, after all that could be measured is written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few short rounds, in 3 minutes")
    effort = QUICK if parser.parse_args().quick else FULL
    notes = [f"{name}: a quick run has no time for it" for name in sorted(effort.left_out)]
    if not effort.whole_sequences:
        notes.append("(c) for those that run it whole, as the in-process loop does: a quick run has no time for it")
    notes += LEFT_OUT
    if not load.WRK:
        notes.append("(d) and (f): wrk is missing (Debian: apt install wrk)")
        _say(notes[-1])
    started_at = time.perf_counter()
    figures = Figures()
    failures = []
    for number in range(1, effort.visits + 1):
        failures += _measure_all(figures, effort, f"{number}/{effort.visits}")
    about = _about(effort, time.perf_counter() - started_at)
    _write(figures, about, notes + failures)
    return 1 if failures else 0


def _measure_all(figures: Figures, effort: Effort, progress: str) -> list[str]:
    """One visit to each peer; the failures."""
    failures = []
    for name, (module, all_letters, *arguments) in BATCH_PEERS.items():
        if name in effort.left_out:
            continue
        _say(f"[{progress}] {name}")
        try:
            letters = effort.letters(all_letters, always_c=name == IN_PROCESS)
            for values in batch.visit(module, effort.repeats, letters, *arguments):
                figures.add(name, values)
        except batch.VisitError as error:
            failures.append(f"{name}: {error}")
            _say(failures[-1])
    for server in servers.SERVERS:
        names = ", ".join(server.paths)
        if names in effort.left_out:
            continue
        _say(f"[{progress}] {names}")
        try:
            for name, values in servers.visit(server, effort):
                figures.add(name, values)
        except servers.FAILURES as error:
            failures.append(f"{names}: {error!r}")
            _say(failures[-1])
    return failures


def _about(effort: Effort, seconds: float) -> dict[str, str]:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # noqa: S607 (git is where PATH says)
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "commit": commit.stdout.strip() or "unknown",
        "command": "make bench" + (" QUICK=1" if effort is QUICK else ""),
        "machine": f"{CPUS} of {os.cpu_count()} CPUs, {_cpu_model()}, {platform.system()} {platform.release()}",
        "load": "{:.1f} {:.1f} {:.1f} (mean of 1, 5 and 15 minutes, at the end)".format(*os.getloadavg()),
        "versions": f"Python {platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in PACKAGES),
        "rounds": f"{effort.visits} visits to each peer, {effort.repeats} rounds in each after a warm-up; "
        f"median (least-greatest); {seconds:.0f} s in all",
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def _write(figures: Figures, about: dict[str, str], notes: list[str]) -> None:
    from benchmarks import plots  # noqa: PLC0415 (matplotlib takes a second: not while measuring)

    RESULTS.mkdir(exist_ok=True)
    everything = {"about": about, "left_out": notes, "rounds": figures.rounds}
    (RESULTS / "latest.json").write_text(json.dumps(everything, indent=1) + "\n")
    page = tables.report(figures, goals(figures, CPUS), about, notes)
    (RESULTS / "latest.md").write_text(page)
    _say(page)
    _say(", ".join(map(str, [RESULTS / "latest.json", RESULTS / "latest.md", *plots.draw(figures, RESULTS)])))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

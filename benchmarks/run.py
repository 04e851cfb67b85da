"""``make bench``: every peer visited in turn, round by round; then the table, the plots and every figure as JSON.

A run that was broken off goes on with ``--resume`` after its last full round.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import tables
from benchmarks.about import about
from benchmarks.cpus import CPUS
from benchmarks.figures import Figures
from benchmarks.goals import goals, simulation_goals
from benchmarks.needs import WRK
from benchmarks.visits import FAILURES, Visit, all_visits
from benchmarks.workloads import FULL, QUICK
from deployments.launcher.console import say

RESULTS = Path("benchmarks/results")
UNFINISHED = "unfinished.json"
NO_WRK = (
    f"{WRK.missing}: the load comes from locust, which takes 0.2 to 0.4 ms of a CPU a request itself: "
    "(d), (e) and (f) do not compare with a run that has wrk"
)


def main() -> int:
    """Measure, write, print; 1 if a peer failed, after everything that could be measured is written."""
    options = _parse()
    effort = QUICK if options.quick else FULL
    folder = RESULTS / "quick" if options.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    visits, notes = all_visits(effort, everyone=options.peers == "all")
    notes += [NO_WRK] if WRK.missing else []
    for note in notes:
        say(f"left out: {note}")
    figures, done, seconds, failures = begin(folder / UNFINISHED, resume=options.resume)
    for number in range(done + 1, effort.visits + 1):
        started_at = time.perf_counter()
        failures += _round(figures, visits, f"{number}/{effort.visits}", number)
        seconds += time.perf_counter() - started_at
        state = {"rounds": figures.rounds, "done": number, "seconds": seconds, "failures": failures}
        (folder / UNFINISHED).write_text(json.dumps(state))
    _write(figures, folder, about(effort, seconds), notes + failures)
    (folder / UNFINISHED).unlink()
    return 1 if failures else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few short rounds, in 3 minutes")
    parser.add_argument("--peers", choices=["core", "all"], default="core", help="all: also MPI, Spark and Celery")
    parser.add_argument("--resume", action="store_true", help="go on where the last run was broken off")
    return parser.parse_args()


def begin(path: Path, *, resume: bool) -> tuple[Figures, int, float, list[str]]:
    """The figures, rounds, seconds and failures so far."""
    if not resume or not path.exists():
        return Figures(), 0, 0.0, []
    state = json.loads(path.read_text())
    return Figures(state["rounds"]), state["done"], state["seconds"], state["failures"]


def _round(figures: Figures, visits: dict[str, Visit], progress: str, number: int) -> list[str]:
    """One visit to each peer; the failures."""
    failures = []
    for name, visit in visits.items():
        started_at = time.perf_counter()
        try:
            for peer, values in visit(number):
                figures.add(peer, values)
        except FAILURES as error:
            failures.append(f"{name} FAILED: {error!r}")
        seconds = time.perf_counter() - started_at
        say(failures[-1] if failures and failures[-1].startswith(name) else f"[{progress}] {name}, {seconds:.1f} s")
    return failures


def _write(figures: Figures, folder: Path, about_run: dict[str, str], notes: list[str]) -> None:
    from benchmarks import plots  # noqa: PLC0415 (matplotlib takes a second: not while measuring)

    everything = {"about": about_run, "left_out": notes, "rounds": figures.rounds}
    (folder / "latest.json").write_text(json.dumps(everything, indent=1) + "\n")
    simulation = RESULTS / "simulate.json"
    simulated = json.loads(simulation.read_text()) if simulation.exists() else None
    page = tables.report(figures, [*goals(figures, CPUS), *simulation_goals(simulated)], about_run, notes)
    (folder / "latest.md").write_text(page)
    say(page)
    say(", ".join(map(str, [folder / "latest.json", folder / "latest.md", *plots.draw(figures, folder)])))


if __name__ == "__main__":
    sys.exit(main())

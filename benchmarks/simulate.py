"""``make simulate``: the real dispatcher over simulated workers; a table, a JSON file, a plot and what they say."""

import argparse
import json
import logging
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.simulation.parameters import Parameters
from benchmarks.simulation.report import HEAD, RULE, draw, goals, row, verdict
from benchmarks.simulation.run import Outcome, simulate
from benchmarks.simulation.waiting import LARGE, dispatch_while_waiting

RESULTS = Path("benchmarks/results")
VARIATIONS: dict[str, dict[str, Any]] = {
    "jitter of 50 ms": {"jitter_seconds": 0.05},
    "2 % of the workers die": {"death_share": 0.02},
    "5 % stragglers, 3 times slower": {"straggler_share": 0.05},
    "sequences of 10,000,000 terms": {"sequence_terms": 10_000_000},
    "one sequence of 10,000,000 terms": {"sequence_terms": 10_000_000, "seconds_per_worker": 0.0},
}
VARIED_WORKERS = 1_000


def main() -> int:
    """Simulate every pool size with every number of ingresses, then the variations."""
    logging.disable(logging.WARNING)  # what is lost and late is counted
    options = _options()
    base = Parameters(**{name: getattr(options, name) for name in _varied()})
    lines = _Lines(HEAD, RULE)
    runs = []
    for workers in options.workers:
        for ingresses in options.ingresses:
            runs.append(simulate(replace(base, num_workers=workers, num_ingresses=ingresses)))
            lines.add(row("", runs[-1]))
    varied: dict[str, Outcome] = {}
    for name, changes in {} if options.no_variations else VARIATIONS.items():
        varied[name] = simulate(replace(base, num_workers=VARIED_WORKERS, num_ingresses=1, **changes))
        lines.add(row(name, varied[name]))
    waiting = [dispatch_while_waiting(base, LARGE, num_jobs) for num_jobs in options.waiting_jobs]
    said = [verdict(runs), *goals(runs, {w.num_waiting: w.batch_microseconds for w in waiting})]
    lines.add("")
    for line in said:
        lines.add(line)
    found = {"runs": list(map(asdict, runs)), "variations": {n: asdict(o) for n, o in varied.items()}}
    found |= {"waiting": list(map(asdict, waiting)), "said": said}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "simulate.json").write_text(json.dumps({"parameters": asdict(base), **found}, indent=1) + "\n")
    (options.results / "simulate.md").write_text("\n".join(lines.said) + "\n")
    draw(runs, options.results / "simulate.svg")
    return 0


class _Lines:
    """What is shown as it is found, and kept for the file."""

    def __init__(self, *said: str) -> None:
        self.said: list[str] = []
        for line in said:
            self.add(line)

    def add(self, line: str) -> None:
        self.said.append(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _varied() -> list[str]:
    return [field.name for field in fields(Parameters) if field.name not in ("num_workers", "num_ingresses")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 1_000, 10_000], help="pool sizes")
    parser.add_argument("--ingresses", type=int, nargs="+", default=[1, 2, 4, 8], help="replicas of the ingress")
    parser.add_argument("--waiting-jobs", type=int, nargs="*", default=[100, 10_000], help="jobs waiting (goal 8)")
    parser.add_argument(
        "--no-variations", action="store_true", help=f"leave out {', '.join(VARIATIONS)}".replace("%", "%%")
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"folder for what is written; {RESULTS}")
    defaults = Parameters()
    for name in _varied():
        value = getattr(defaults, name)
        unit = "seconds" if "seconds" in name else "0 to 1" if "share" in name else UNITS[name]
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value, help=f"{unit}; {value}")
    return parser.parse_args()


UNITS = {"sequence_terms": "terms", "straggler_factor": "times the seconds of the others", "seed": "any integer"}


if __name__ == "__main__":
    sys.exit(main())

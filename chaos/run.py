"""``make chaos``: every row on the real service; then the table, and all as JSON. ``make soak``: one row, for long."""

import argparse
import contextlib
import datetime as dt
import functools
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from chaos.caller import UnansweredError
from chaos.outcome import Check, Outcome
from chaos.registry import CI_ROWS, ROWS, Row, StartStage
from chaos.rows.soak import soaked
from chaos.stage import Capacity, Stage
from chaos.table import table, with_table
from deployments.launcher.console import say
from harness.config import Change, default_proxy
from harness.service import StartError

PAGE = Path("docs/faults.md")
"""Has the short table."""
RESULTS = Path("benchmarks/results")
CI = "ci"
"""Instead of rows' names: ``registry.CI_ROWS``."""
BROKEN = "broken"
"""Instead of rows' names: those that were only slow in the run before, or that it did not reach. Anything else that it
did not keep stays broken: another try does not make a wrong answer right. By its name every row can be run again."""
FAILURES = (
    StartError, UnansweredError, httpx.HTTPError, psutil.Error, subprocess.SubprocessError,
    RuntimeError, ValueError, LookupError,
)  # fmt: skip
"""What a row may run into when the service is not what it expects: that is the row's outcome, and others follow."""


def main() -> int:
    """Run, write, print; 1 if a promise was broken."""
    options = _parse()
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup: the launchers that this starts would ignore it too
        signal.signal(signal.SIGHUP, lambda *_: None)
    rows = list(ROWS)
    changes: tuple[Change, ...] = ()
    if options.default_proxy:
        rows = [row for row in rows if row.with_default_proxy]
        changes = (default_proxy,)
    if options.soak:
        soak = functools.partial(soaked, seconds=options.soak)
        rows = [Row("soak", f"sustainable load for {options.soak:g} s", _row("soak").start, soak)]
    name = "soak" if options.soak else "chaos-default-proxy" if options.default_proxy else "chaos"
    results = _Results(name, RESULTS if options.record else RESULTS / "local")
    if options.only == [BROKEN]:
        rows = results.selected(rows)
        to_run = [row for row in rows if results.may_run_again(row)]
    elif options.only and options.only != [CI]:
        to_run = rows = [row for row in rows if row.name in options.only]
    else:
        to_run = rows = [row for row in rows if not options.only or row.name in CI_ROWS]
        results.begin(rows if options.only else [])
    begun = time.monotonic()
    for row, outcome, seconds in run_all(to_run, changes):
        if options.only == [BROKEN]:
            outcome.before += results.broken_before(row)
        results.add(row, outcome, seconds)
        say(f"[{time.monotonic() - begun:5.0f} s] {row.name}: " + ("BROKEN" if outcome.broken else "kept"))
        for line in outcome.told:
            say(f"          {line}")
    say(results.write())
    if options.record and name == "chaos":
        PAGE.write_text(with_table(PAGE.read_text(), results.rows))
    broken = results.broken_or_missing(rows)
    minutes = (time.monotonic() - begun) / 60
    kept = f"{len(rows) - len(broken)} of {len(rows)} kept, after {minutes:.1f} min"
    say(kept + (f"; broken: {', '.join(broken)}" if broken else ""))
    return 1 if broken else 0


def run_all(rows: Iterable[Row], changes: tuple[Change, ...]) -> Iterator[tuple[Row, Outcome, float]]:
    """Each row's outcome and how long it took. The capacity is measured once, on the first stage that needs it."""
    capacity: Capacity | None = None
    for start, group in itertools.groupby(rows, key=lambda row: row.start):
        waiting = list(group)
        while waiting:
            for row, outcome, seconds, measured in _run_on_one_stage(start, changes, waiting, capacity):
                capacity = capacity or measured
                waiting = waiting[1:]
                yield row, outcome, seconds


def _run_on_one_stage(
    start: StartStage, changes: tuple[Change, ...], rows: list[Row], capacity: Capacity | None
) -> Iterator[tuple[Row, Outcome, float, Capacity | None]]:
    """Rows until one leaves the stage in pieces; at least one."""
    with contextlib.ExitStack() as stack:
        try:
            stage = stack.enter_context(start(*changes))
        except StartError as error:
            yield rows[0], _ran_into(error), 0.0, None
            return
        stage.capacity = capacity
        for row in rows:
            begun = time.monotonic()
            outcome = run_row(row, stage)
            yield row, outcome, time.monotonic() - begun, stage.capacity
            if not _is_whole(stage):
                return


def run_row(row: Row, stage: Stage) -> Outcome:
    """A row's outcome. One that was slow and nothing worse is tried again: others may have had the machine."""
    outcome = _go(row, stage)
    if not outcome.only_slow or not _is_whole(stage):
        return outcome
    second = _go(row, stage)
    second.before.append("a second go; the first: " + "; ".join(map(str, outcome.broken)))
    return second


def _go(row: Row, stage: Stage) -> Outcome:
    try:
        return row.run(stage)
    except FAILURES as error:
        return _ran_into(error)


def _is_whole(stage: Stage) -> bool:
    return stage.service.process.poll() is None and math.isfinite(stage.until(stage.is_whole, 15))


def _ran_into(error: Exception) -> Outcome:
    return Outcome(checks=[Check("ran into an error", 1, 0)], notes=[f"{type(error).__name__}: {error}"[:300]])


class _Results:
    """The file of one kind of run: rows that are run again take the place of their predecessors."""

    def __init__(self, name: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._json, self._markdown = (folder / f"{name}.{suffix}" for suffix in ("json", "md"))
        self._selection = folder / f"{name}.selection"
        self._commit = _commit()  # before the files here are changed
        self.rows: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError):
            self.rows = json.loads(self._json.read_text())

    def begin(self, selection: list[Row]) -> None:
        """Start afresh: what this run, of all rows or of a selection, does not reach is missing."""
        self.rows.clear()
        self._save()
        self.write()
        self._selection.unlink(missing_ok=True)
        if selection:
            self._selection.write_text("".join(f"{row.name}\n" for row in selection))

    def selected(self, rows: list[Row]) -> list[Row]:
        """Those that the last run was meant to run."""
        with contextlib.suppress(OSError):
            names = self._selection.read_text().splitlines()
            return [row for row in rows if row.name in names]
        return rows

    def add(self, row: Row, outcome: Outcome, seconds: float) -> None:
        self.rows[row.name] = {
            "text": row.text,
            "requests": outcome.requests,
            "failed": outcome.failed,
            "wrong": outcome.wrong,
            "p50_ms": outcome.p50_ms,
            "p99_ms": outcome.p99_ms,
            "slowest_ms": outcome.slowest_ms,
            "told": outcome.told,
            "promised": outcome.promised,
            "broken": [str(check) for check in outcome.broken],
            "only_slow": outcome.only_slow,
            "seconds": round(seconds, 1),
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
            "commit": self._commit,
            "load": round(os.getloadavg()[0], 1),
        }
        order = [row.name] if row not in ROWS else [known.name for known in ROWS]
        self.rows = {name: self.rows[name] for name in order if name in self.rows}  # none that there are no more
        self._save()

    def broken_or_missing(self, rows: Iterable[Row]) -> list[str]:
        """Names of those that were not kept the last time, or not run."""
        return [row.name for row in rows if not self._was_run(row) or self.rows[row.name]["broken"]]

    def may_run_again(self, row: Row) -> bool:
        """Whether it was not run the last time, or was slow and nothing worse."""
        return not self._was_run(row) or bool(self.rows[row.name].get("only_slow"))

    def broken_before(self, row: Row) -> list[str]:
        """A note of what the run before did not keep."""
        before = self.rows.get(row.name, {}).get("broken")
        return [f"run again; before: {'; '.join(before)}"] if before else []

    def write(self) -> str:
        """Write the table, and return it."""
        page = table(self.rows)
        self._markdown.write_text(page)
        return page

    def _was_run(self, row: Row) -> bool:
        return bool(self.rows.get(row.name, {}).get("date"))

    def _save(self) -> None:
        self._json.write_text(json.dumps(self.rows, indent=1) + "\n")


def _row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos.run", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], help=f"of {', '.join(names)}; or {CI}, or {BROKEN}"
    )
    parser.add_argument("--default-proxy", action="store_true", help="Serve's own proxy instead of HAProxy")
    parser.add_argument(
        "--record", action="store_true", help="into what is committed, docs/faults.md too, not into results/local"
    )
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only the soak, for so long")
    options = parser.parse_args()
    if options.only == [CI] and options.record:
        parser.error("what is recorded is the whole table")
    if options.only not in ([BROKEN], [CI]) and (unknown := set(options.only) - set(names)):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return options


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"  # noqa: S603 (git)


if __name__ == "__main__":
    sys.exit(main())

"""Steady load for long: memory and file descriptors of every process."""

import contextlib
import statistics
import time
from dataclasses import dataclass, field

import psutil

from chaos.load import open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.stage import Stage
from harness.processes import descendants

WARM_UP = 1 / 4
"""Part of the time that is not counted."""
SAMPLE_SECONDS = 2.0
MB_PER_HOUR = 2.0
DECIDED_AFTER_SECONDS = 1_200
"""A shorter soak cannot tell 2 MB an hour from a page here and there: it only reports, and bounds the growth itself."""
GROWTH_MB = 2.0
FD_SLACK = 4
"""Connections that Ray or Serve open once, late."""
IDLE = "ray::IDLE"
SETTLE_SECONDS = 12.0
"""After the load HAProxy closes half of its idle connections every 5 s."""


@dataclass
class Samples:
    """One process over time: hours, megabytes that it allocated; pages of program files come and go."""

    name: str
    hours: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def slope(self) -> float:
        """Megabytes an hour, by least squares."""
        return statistics.linear_regression(self.hours, self.megabytes).slope

    @property
    def growth(self) -> float:
        """Megabytes, from the median of the first third to that of the last."""
        third = max(1, len(self.megabytes) // 3)
        return statistics.median(self.megabytes[-third:]) - statistics.median(self.megabytes[:third])


def soaked(stage: Stage, seconds: float = 120) -> Outcome:
    """Sustainable load; no process grows."""
    stage.until(stage.is_whole, 30)
    with open_loop(stage.url, stage.rate):
        time.sleep(seconds * WARM_UP)
    stage.left_behind()
    descriptors = _descriptors(stage)
    with open_loop(stage.url, stage.rate) as record:
        samples, num_ended = _sample(stage, seconds * (1 - WARM_UP))
    left = stage.left_behind()
    opened = {key: count - descriptors[key] for key, count in _descriptors(stage).items() if key in descriptors}
    (_, opener), most_opened = max(opened.items(), key=lambda item: item[1])
    steepest, *others = sorted(samples, key=lambda one: one.slope, reverse=True)
    fattest = max(samples, key=lambda one: one.growth)
    is_long = seconds >= DECIDED_AFTER_SECONDS
    outcome = outcome_of(
        record,
        Check("steepest slope, MB/h", steepest.slope, MB_PER_HOUR if is_long else None),
        Check("most growth, MB", fattest.growth, None if is_long else GROWTH_MB),
        Check("most file descriptors more", most_opened, FD_SLACK),
        Check("processes", len(samples)),
        Check("processes that ended", num_ended, 0),
        *left,
    )
    after = ", ".join(f"{one.name} {one.slope:.2f}" for one in others[:4])
    outcome.notes += [f"steepest: {steepest.name}, then {after}", f"grown most: {fattest.name}"]
    outcome.notes += [f"more file descriptors: {opener}"] if most_opened > 0 else []
    return outcome


def _sample(stage: Stage, seconds: float) -> tuple[list[Samples], int]:
    """Of every process that lived all the time, and how many did not, but for Ray's idle workers."""
    num_ended = 0
    processes = {process: Samples(_name(process)) for process in descendants(stage.pid)}
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        for process, samples in list(processes.items()):
            try:
                memory = process.memory_info()
            except psutil.NoSuchProcess:
                del processes[process]
                num_ended += samples.name != IDLE
            else:
                samples.megabytes.append((memory.rss - memory.shared) / 1e6)
                samples.hours.append(passed / 3600)
        time.sleep(SAMPLE_SECONDS)
    return list(processes.values()), num_ended


def _descriptors(stage: Stage) -> dict[tuple[int, str], int]:
    """How many each process has open once the load is over."""
    time.sleep(SETTLE_SECONDS)
    counts = {}
    for process in descendants(stage.pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            counts[process.pid, _name(process)] = process.num_fds()
    return counts


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        title = process.cmdline()[:1]
        return title[0].split(" ")[0] if title and title[0].startswith("ray::") else process.name()
    return ""

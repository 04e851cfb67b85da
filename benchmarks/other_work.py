"""How much of the cores other work took while something was measured: the figures are then not a measurement."""

import os
from dataclasses import dataclass
from typing import Self

import psutil

LEAST_SHARE = 0.1
"""Of the cores. What others take is missing from the distributed half alone, as long as one core is left for the local
one: the speed-up loses as large a share. Less than a tenth is within what an idle machine's rounds differ by."""


@dataclass(frozen=True)
class Busy:
    """CPU seconds so far on the cores that this process may use: of all, and of a process and its descendants."""

    all: float
    own: float

    @classmethod
    def now(cls, pid: int | None = None) -> Self:
        return cls(_all_seconds(), _tree_seconds(psutil.Process(pid)))

    def others_since(self, before: Self) -> float:
        """CPU seconds of other work in between, and of the hypervisor's other guests."""
        return max(0.0, (self.all - before.all) - (self.own - before.own))


def is_disturbing(other_cores: float, num_workers: int) -> bool:
    """Whether other work of that many cores has slowed the workers; cores beside theirs may be busy."""
    spare_cores = len(os.sched_getaffinity(0)) - num_workers
    return other_cores > spare_cores + LEAST_SHARE * num_workers


def _all_seconds() -> float:
    usable = os.sched_getaffinity(0)
    times = [cpu for number, cpu in enumerate(psutil.cpu_times(percpu=True)) if number in usable]
    return float(sum(t.user + t.nice + t.system + t.irq + t.softirq + t.steal for t in times))


def _tree_seconds(root: psutil.Process) -> float:
    """A process that has ended counts in its parent's children."""
    seconds = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            seconds += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return seconds

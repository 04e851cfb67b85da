"""How much memory processes hold, and the most that one has held since a moment. Linux; elsewhere only the latter, of
this process, since its start."""

import resource
import sys
from collections.abc import Iterable
from pathlib import Path

LEAST_MEGABYTES = 0.25
"""Linux counts a process's memory in steps of up to 64 pages; a smaller growth is given as this."""


def watch(process: int | str = "self") -> float:
    """Forget the peak so far; the megabytes held now. Raises ``OSError`` if the process is gone or not ours."""
    folder = Path("/proc", str(process))
    if (folder / "clear_refs").exists():
        (folder / "clear_refs").write_text("5")  # proc(5): resets the peak, and nothing else
    return _peak(folder)


def growth(megabytes_before: float, process: int | str = "self") -> float:
    """Megabytes that the peak since ``watch`` is above what was held then."""
    return max(_peak(Path("/proc", str(process))) - megabytes_before, LEAST_MEGABYTES)


def proportional_megabytes(processes: Iterable[int]) -> float:
    """What they hold together (PSS): what several share counts once, and a process that has just ended not at all."""
    return sum(map(_proportional_megabytes, processes))


def _proportional_megabytes(process: int) -> float:
    try:
        lines = Path("/proc", str(process), "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0.0)


def _peak(folder: Path) -> float:
    # getrusage would count what this process's parent held when it was forked.
    status = folder / "status"
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3

"""What the machine gives this process: CPUs, memory and tasks, however each is limited. The one place that knows.

Control groups are read in both versions, at the process's own group and at all above it: the tightest limit holds.
"""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from deployments.launcher.console import LaunchError

MEMORY_MB = 850
MEMORY_MB_PER_WORKER = 130
TASKS = 330
TASKS_PER_WORKER = 35
"""Measured: what the service takes idle, processes and threads together, and what each worker adds to that."""
UNLIMITED_BYTES = 1 << 60
"""Version 1 says "no limit" as a number near 2^63."""


def usable_cpus(root: Path = Path("/")) -> int:
    """Whole CPUs that this process may use: at least one, even of a fraction."""
    cpus = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    for text in _values(root, "cpu", "cpu.max"):
        quota, _, period = text.partition(" ")
        if quota != "max":
            cpus = min(cpus, int(quota) / int(period or 100_000))
    quotas = _values(root, "cpu", "cpu.cfs_quota_us")
    for quota, period in zip(quotas, _values(root, "cpu", "cpu.cfs_period_us"), strict=False):
        if int(quota) > 0:
            cpus = min(cpus, int(quota) / int(period))
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus"):
        for text in _values(root, "cpuset", name):
            cpus = min(cpus, _count(text) or cpus)
    return max(1, int(cpus))


def usable_memory_bytes(root: Path = Path("/")) -> int:
    """Memory that this process and its children may use together."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory.limit_in_bytes"):
        limits += [int(text) for text in _values(root, "memory", name) if text != "max"]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)  # of each process, but Ray's map far more than they use
    return min(limit for limit in (*limits, soft) if 0 < limit < UNLIMITED_BYTES)


def usable_tasks(root: Path = Path("/")) -> int | None:
    """Processes and threads that may be started beside the existing ones; None without a limit."""
    limits = []
    for limit, current in zip(_values(root, "pids", "pids.max"), _values(root, "pids", "pids.current"), strict=False):
        if limit != "max":
            limits.append(int(limit) - int(current))
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.getuid() != 0 and soft != resource.RLIM_INFINITY:  # nobody counts root's
        limits.append(soft - _tasks_of_user(os.getuid()))
    return min(limits, default=None)


def check_room(num_workers: int, root: Path = Path("/")) -> None:
    """Raise ``LaunchError`` unless there are memory and tasks for so many workers."""
    workers = "1 worker needs" if num_workers == 1 else f"{num_workers} workers need"
    advice = " (--cpus asks for fewer)" if num_workers > 1 else ""
    needed, given = MEMORY_MB + MEMORY_MB_PER_WORKER * num_workers, usable_memory_bytes(root) // 1_000_000
    if given < needed:
        raise LaunchError(f"{workers} {needed} MB of memory, but only {given} MB may be used here{advice}")
    tasks, free = TASKS + TASKS_PER_WORKER * num_workers, usable_tasks(root)
    if free is not None and free < tasks:
        raise LaunchError(f"{workers} {tasks} processes and threads, but only {free} may be started here{advice}")


def _values(root: Path, controller: str, name: str) -> list[str]:
    """What the files of this name say, from the process's own group to the root; nothing where there is no limit."""
    found = []
    for folder in _groups(root, controller):
        with contextlib.suppress(OSError):
            found.append((folder / name).read_text().strip())
    return [text for text in found if text]


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups that this process may be in; in a container its own may be mounted as the root."""
    mounted = root / "sys/fs/cgroup"
    groups = []
    with contextlib.suppress(OSError):
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    own = {each[1]: each[2] for each in groups if len(each) == 3}
    version_1 = next((path for names, path in own.items() if controller in names.split(",")), "/")
    for top, path in (
        (mounted, own.get("", "/")),
        (mounted / "unified", own.get("", "/")),
        (mounted / controller, version_1),
    ):
        folder = Path(path.lstrip("/"))
        yield from (top / each for each in dict.fromkeys((folder, *folder.parents)))


def _count(cpus: str) -> int:
    """How many a list like ``0-3,8`` names."""
    count = 0
    for part in filter(None, cpus.split(",")):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count


def _tasks_of_user(uid: int) -> int:
    tasks = 0
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and folder.stat().st_uid == uid:
                tasks += sum(1 for _ in (folder / "task").iterdir())
    return tasks

"""CPUs, memory and tasks, as the files of control groups of both versions say them."""

import os
from pathlib import Path

import pytest

from deployments.launcher import machine
from deployments.launcher.console import LaunchError

MANY = 64
GIGABYTE = 1_000_000_000


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a machine with 64 CPUs and 64 GB, whose control groups a test writes."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)))
    monkeypatch.setattr(os, "sysconf", lambda name: 1_000 if name == "SC_PAGE_SIZE" else 64_000_000)
    monkeypatch.setattr(os, "getuid", lambda: 0)  # whom no limit of a user's tasks holds
    return tmp_path


def write(root: Path, own: str, **files: str) -> None:
    """The process's own groups, and what files say: names with _ for /, - for a dot."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("--", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("", {}, MANY),
        ("0::/\n", {"cpu--max": "max 100000\n"}, MANY),
        ("0::/\n", {"cpu--max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu--max": "150000 100000\n"}, 1),
        ("0::/\n", {"cpu--max": "400000 100000\n"}, 4),
        ("0::/a/b\n", {"a__cpu--max": "300000 100000\n", "a__b__cpu--max": "max 100000\n"}, 3),
        ("0::/gone\n", {"cpu--max": "200000 100000\n"}, 2),
        ("0::/a\n", {"a__cpuset--cpus--effective": "0-2,8\n"}, 4),
        ("0::/a\n", {"a__cpuset--cpus--effective": "\n"}, MANY),
        ("4:cpu,cpuacct:/d\n", {"cpu__d__cpu--cfs_quota_us": "50000", "cpu__d__cpu--cfs_period_us": "100000"}, 1),
        ("4:cpu,cpuacct:/d\n", {"cpu__cpu--cfs_quota_us": "250000", "cpu__cpu--cfs_period_us": "100000"}, 2),
        ("4:cpu:/\n", {"cpu__cpu--cfs_quota_us": "-1", "cpu__cpu--cfs_period_us": "100000"}, MANY),
        ("3:cpuset:/d\n0::/\n", {"cpuset__d__cpuset--effective_cpus": "5"}, 1),
    ],
)
def test_the_tightest_limit_of_cpus_holds_and_at_least_one_is_used(
    own: str, files: dict[str, str], cpus: int, root: Path
) -> None:
    write(root, own, **files)
    assert machine.usable_cpus(root) == cpus


def test_a_process_that_may_use_two_cpus_uses_two(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5})
    assert machine.usable_cpus(root) == 2


@pytest.mark.parametrize(
    ("own", "files", "gigabytes"),
    [
        ("", {}, 64),
        ("0::/\n", {"memory--max": "max"}, 64),
        ("0::/a/b\n", {"a__memory--max": f"{2 * GIGABYTE}", "a__b__memory--max": "max"}, 2),
        ("4:memory:/d\n", {"memory__d__memory--limit_in_bytes": "9223372036854771712"}, 64),
        ("4:memory:/d\n", {"memory__d__memory--limit_in_bytes": f"{3 * GIGABYTE}"}, 3),
    ],
)
def test_the_tightest_limit_of_memory_holds(own: str, files: dict[str, str], gigabytes: int, root: Path) -> None:
    write(root, own, **files)
    assert machine.usable_memory_bytes(root) == gigabytes * GIGABYTE


@pytest.mark.parametrize(
    ("own", "files", "tasks"),
    [
        ("", {}, None),
        ("0::/\n", {"pids--max": "max", "pids--current": "7"}, None),
        ("0::/a\n", {"a__pids--max": "512", "a__pids--current": "12", "pids--max": "400", "pids--current": "20"}, 380),
        ("8:pids:/d\n", {"pids__d__pids--max": "256", "pids__d__pids--current": "6"}, 250),
    ],
)
def test_what_runs_already_counts_against_the_limit_of_tasks(
    own: str, files: dict[str, str], tasks: int | None, root: Path
) -> None:
    write(root, own, **files)
    assert machine.usable_tasks(root) == tasks


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"memory--max": "536870912"},
            r"2 workers need 1\d{3} MB of memory, but only 536 MB may be used here \(--cpus",
        ),
        (
            {"pids--max": "256", "pids--current": "2"},
            r"2 workers need \d{3} processes and threads, but only 254 may be",
        ),
    ],
)
def test_too_little_room_is_told_in_one_line(files: dict[str, str], said: str, root: Path) -> None:
    write(root, "0::/\n", **files)
    with pytest.raises(LaunchError, match=said):
        machine.check_room(2, root)


def test_two_gigabytes_and_512_tasks_are_enough_for_two_workers(root: Path) -> None:
    write(root, "0::/\n", **{"memory--max": "2147483648", "pids--max": "512", "pids--current": "20"})
    machine.check_room(2, root)

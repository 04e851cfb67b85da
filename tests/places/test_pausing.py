"""The kernel's freezer, which `docker pause` uses, stops all of the service for longer than any guard waits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from chaos.jobs import JobSpec, LocalJob
from chaos.rows.pausing import paused
from chaos.stage import Stage
from deployments.watchdogs.start import STILL_SECONDS
from harness.service import Service

JOBS = (LocalJob(300_000, 12), JobSpec(100_000, 40))
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Freezer:
    """One of the kernel's two."""

    folder: Path
    file: str
    frozen: str
    thawed: str

    @property
    def is_there(self) -> bool:
        return os.access(self.folder / "cgroup.procs", os.W_OK)

    @contextmanager
    def freeze(self, processes: list[psutil.Process]) -> Iterator[None]:
        """They stand still meanwhile."""
        group = self.folder / f"fibonacci-test-{os.getpid()}"
        group.mkdir()
        try:
            move(processes, group)
            (group / self.file).write_text(self.frozen)
            yield
        finally:
            (group / self.file).write_text(self.thawed)
            move(processes, self.folder)
            group.rmdir()


def move(processes: list[psutil.Process], group: Path) -> None:
    for process in processes:
        (group / "cgroup.procs").write_text(str(process.pid))


FREEZERS = {
    "cgroup v1": Freezer(CGROUPS / "freezer", "freezer.state", "FROZEN", "THAWED"),
    "cgroup v2": Freezer(
        CGROUPS if (CGROUPS / "cgroup.controllers").exists() else CGROUPS / "unified", "cgroup.freeze", "1", "0"
    ),
}


@pytest.mark.parametrize("name", FREEZERS)
def test_a_paused_service_goes_on_where_it_was(service: Service, name: str) -> None:
    freezer = FREEZERS[name]
    if not freezer.is_there:
        pytest.skip(f"needs root and a freezer of {name}")
    outcome = paused(Stage(service, 2), STILL_SECONDS + 5, freezer.freeze, JOBS)
    assert not [str(check) for check in outcome.broken], outcome.notes

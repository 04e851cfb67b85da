"""Jobs and segments of the Fibonacci kernel, for tests of what knows no kernel."""

from dataclasses import dataclass
from typing import ClassVar

from app.job import Execution, Job, Segment
from app.kernels.fibonacci.task import FibonacciTask
from app.settings import KernelChoice


@dataclass(frozen=True, slots=True)
class OtherTask(FibonacciTask):
    """Of another kernel."""

    kernel: ClassVar[str] = "other"


def segment(start: int, stop: int, count: int = 1, *, length: int | None = None) -> Segment:
    """Of lines of ``length`` units, or such as end where it does."""
    return Segment(FibonacciTask(stop if length is None else length), start, stop, count)


def job_of(length: int, num_lines: int = 1, execution: Execution = Execution.DISTRIBUTED, job_id: str = "") -> Job:
    """So many lines of so many units."""
    return Job(job_id, FibonacciTask(length, num_lines), execution)


def fibonacci_with(**limits: int) -> tuple[KernelChoice, ...]:
    """The setting ``kernels`` with Fibonacci alone, limited so."""
    return (KernelChoice(import_path="app.kernels.fibonacci:KERNEL", limits=dict(limits)),)

"""What the pool and the queue look like from outside: plain data that crosses processes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker reports of itself; ``node_id`` is None and ``replied`` false if it did not in time."""

    worker_id: str
    node_id: str | None = None
    busy: bool = False
    completed_batches: int = 0
    compute_seconds: float = 0.0
    replied: bool = True


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One ingress replica's queue."""

    queued_jobs: int
    unfinished_jobs: int
    drain_seconds: float


@dataclass(frozen=True, slots=True)
class DurableCounts:
    """Durable jobs of the whole service; ``reason`` says why there are none to be had."""

    available: bool
    reason: str | None = None
    queued: int = 0
    running: int = 0
    finished: int = 0


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """Every worker, and the queue of every ingress replica that replied."""

    workers: tuple[WorkerStatus, ...]
    queues: tuple[QueueStatus, ...]
    durable: DurableCounts | None = None
    """None: nobody has asked."""


ReadPool = Callable[[], Awaitable[PoolStatus]]
"""Asks the workers and the ingress replicas, within a time limit; never fails because one is dead."""

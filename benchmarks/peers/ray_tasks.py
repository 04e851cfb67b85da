"""Plain Ray tasks, one a sequence: the service's engine without Serve."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray

from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run
from benchmarks.peers.ray_cluster import ray_cluster


@ray.remote
def compute(sequence_size: int) -> int:
    return compute_at_once(0, sequence_size)


@contextmanager
def start() -> Iterator[Run]:
    def run(sequence_size: int, num_sequences: int) -> list[int]:
        sizes: list[int] = ray.get([compute.remote(sequence_size) for _ in range(num_sequences)])
        return sizes

    with ray_cluster():
        yield run

"""Ray's ``ActorPool``: an actor a CPU, the next sequence to whichever is free."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.util import ActorPool

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run
from benchmarks.peers.ray_cluster import ray_cluster


@ray.remote(num_cpus=1)
class Worker:
    def compute(self, sequence_size: int) -> int:
        return compute_at_once(0, sequence_size)


@contextmanager
def start() -> Iterator[Run]:
    with ray_cluster():
        pool = ActorPool([Worker.remote() for _ in range(CPUS)])  # type: ignore[attr-defined]

        def run(sequence_size: int, num_sequences: int) -> list[int]:
            return list(pool.map(lambda worker, size: worker.compute.remote(size), [sequence_size] * num_sequences))

        yield run

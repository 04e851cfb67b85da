"""A Ray cluster of one node, for the peers that use Ray without Serve."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray

from benchmarks.cpus import CPUS


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Never one that happens to run; gone when the block ends."""
    ray.init(address="local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()

"""Dask distributed: a process a CPU with one thread each, as its documentation advises for code that holds the GIL."""

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


@contextmanager
def start() -> Iterator[Run]:
    with (
        LocalCluster(n_workers=CPUS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):

        def run(sequence_size: int, num_sequences: int) -> list[int]:
            # pure=False: equal arguments would be one task.
            futures = client.map(compute_at_once, [0] * num_sequences, [sequence_size] * num_sequences, pure=False)
            sizes: list[int] = client.gather(futures)
            return sizes

        yield run

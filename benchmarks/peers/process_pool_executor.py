"""``concurrent.futures.ProcessPoolExecutor``; its default chunksize is 1."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


@contextmanager
def start() -> Iterator[Run]:
    with ProcessPoolExecutor(CPUS) as pool:

        def run(sequence_size: int, num_sequences: int) -> list[int]:
            return list(pool.map(compute_at_once, repeat(0), [sequence_size] * num_sequences))

        yield run

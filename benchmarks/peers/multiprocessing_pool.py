"""``multiprocessing.Pool``, with its default chunks or with another ``chunksize``."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


@contextmanager
def start(chunksize: int | None = None) -> Iterator[Run]:
    with multiprocessing.Pool(CPUS) as pool:

        def run(sequence_size: int, num_sequences: int) -> list[int]:
            return pool.starmap(compute_at_once, [(0, sequence_size)] * num_sequences, chunksize)

        yield run

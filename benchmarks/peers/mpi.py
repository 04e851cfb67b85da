"""MPI: ``mpi4py.futures.MPIPoolExecutor``, a rank a CPU besides the master's.

Started as mpi4py's documentation says: ``mpiexec -n RANKS python -m mpi4py.futures -m benchmarks.batch mpi ...``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat

from mpi4py.futures import MPIPoolExecutor

from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


@contextmanager
def start() -> Iterator[Run]:
    with MPIPoolExecutor() as pool:

        def run(sequence_size: int, num_sequences: int) -> list[int]:
            return list(pool.map(compute_at_once, repeat(0, num_sequences), [sequence_size] * num_sequences))

        yield run

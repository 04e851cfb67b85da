"""The reference: one sequence after another in this process, nothing distributed."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


@contextmanager
def start() -> Iterator[Run]:
    yield lambda sequence_size, num_sequences: [compute_at_once(0, sequence_size) for _ in range(num_sequences)]

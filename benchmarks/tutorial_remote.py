"""The tutorial's Ray task. Apart from ``tutorial.py``, so that the local run's memory holds no Ray."""

import ray

from benchmarks.tutorial import generate_fibonacci


@ray.remote
def fibonacci_distributed(sequence_size: int) -> int:
    """One sequence, all of it in a list; returns its size."""
    return len(generate_fibonacci(sequence_size))


def run_remote(sequence_size: int, num_sequences: int) -> list[int]:
    """A Ray task for each sequence; returns their sizes."""
    sizes: list[int] = ray.get([fibonacci_distributed.remote(sequence_size) for _ in range(num_sequences)])
    return sizes

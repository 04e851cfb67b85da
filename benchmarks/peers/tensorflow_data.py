"""TensorFlow: ``tf.data`` with a parallel ``map`` over ``tf.numpy_function``, a call a CPU.

All calls run in this one process and hold its GIL, so they take turns: ``tf.data`` is made for TensorFlow's own
operations, which do not, and whose integers have 64 bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


def compute(sequence_size: int) -> int:
    return compute_at_once(0, int(sequence_size))


def computed(sequence_size: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(compute, [sequence_size], tf.int64)


@contextmanager
def start() -> Iterator[Run]:
    def run(sequence_size: int, num_sequences: int) -> list[int]:
        sizes = tf.data.Dataset.from_tensor_slices(tf.fill([num_sequences], tf.constant(sequence_size, tf.int64)))
        return [int(size) for size in sizes.map(computed, num_parallel_calls=CPUS).as_numpy_iterator()]

    yield run

"""Flink: PyFlink's DataStream API in a local mini cluster; a Python function over a collection, a subtask a CPU.

Flink starts its Python processes anew for each job, so they are in every figure.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyflink.common import Configuration, Types
from pyflink.datastream import RuntimeExecutionMode, StreamExecutionEnvironment

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


def compute(sequence_size: int) -> int:
    return compute_at_once(0, sequence_size)


@contextmanager
def start() -> Iterator[Run]:
    configuration = Configuration()
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.client.executable", sys.executable)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.set_runtime_mode(RuntimeExecutionMode.BATCH)
    environment.set_parallelism(CPUS)

    def run(sequence_size: int, num_sequences: int) -> list[int]:
        sizes = environment.from_collection([sequence_size] * num_sequences, Types.LONG())
        computed = sizes.rebalance().map(compute, Types.LONG())
        with computed.execute_and_collect() as results:
            return list(results)

    yield run

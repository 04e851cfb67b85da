"""Spark: ``pyspark`` in local mode with a thread, and its Python process, a CPU; a partition a sequence."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run


def compute(sequence_size: int) -> int:
    return compute_at_once(0, sequence_size)


@contextmanager
def start() -> Iterator[Run]:
    os.environ["PYSPARK_PYTHON"] = sys.executable  # otherwise Spark takes the python3 in PATH, which may be another
    builder = SparkSession.builder.master(f"local[{CPUS}]").config("spark.ui.enabled", "false")
    with builder.config("spark.driver.host", "127.0.0.1").getOrCreate() as session:
        session.sparkContext.setLogLevel("ERROR")

        def run(sequence_size: int, num_sequences: int) -> list[int]:
            sizes = session.sparkContext.parallelize([sequence_size] * num_sequences, num_sequences)
            return list(sizes.map(compute).collect())

        yield run

"""The peers that run a batch in one call, and what each gets to do."""

import sys
from dataclasses import dataclass

from benchmarks import batch
from benchmarks.cpus import CPUS
from benchmarks.goals import IN_PROCESS, RUN_LOCAL, RUN_REMOTE
from benchmarks.needs import FLINK, JAVA, MPIEXEC, TENSORFLOW, Requirement
from benchmarks.workloads import WHOLE_AT_MOST, Effort


@dataclass(frozen=True)
class BatchPeer:
    """A module of ``benchmarks.peers``."""

    name: str
    module: str
    letters: str = "abc"
    arguments: tuple[int, ...] = ()
    memory: bool = False
    prefix: tuple[str, ...] = (sys.executable,)
    needs: tuple[Requirement, ...] = ()
    """It comes with ``PEERS=all``, and these."""

    def visit(self, effort: Effort, number: int) -> list[dict[str, float]]:
        """Visit number 1, 2, ...; a mapping a round. Raises ``batch.VisitError``."""
        letters = effort.letters(self.letters, always_c=self.name == IN_PROCESS)
        sizes = effort.one_sequence_sizes(number) if "s" in letters else []
        visit = batch.Visit(
            self.module,
            letters.replace("s", ""),
            effort.repeats,
            [size for size in sizes if size <= WHOLE_AT_MOST],
            list(self.arguments),
            self.memory,
        )
        return batch.pay(visit, self.prefix)


# mpi4py's own line; a rank more than CPUs because the master only waits, and as root because a container is.
MPI = (MPIEXEC.program, "--allow-run-as-root", "--oversubscribe", "-n", str(CPUS + 1))
BATCH_PEERS = [
    BatchPeer(RUN_LOCAL, "tutorial_local", "a", memory=True),
    BatchPeer(RUN_REMOTE, "tutorial_remote", "a"),
    BatchPeer(IN_PROCESS, "in_process", "abcs", memory=True),
    BatchPeer("multiprocessing.Pool, chunksize=1", "multiprocessing_pool", arguments=(1,)),
    BatchPeer("multiprocessing.Pool", "multiprocessing_pool"),
    BatchPeer("ProcessPoolExecutor", "process_pool_executor", "abcs"),
    BatchPeer("Ray tasks", "ray_tasks"),
    BatchPeer("Ray ActorPool", "ray_actor_pool"),
    BatchPeer("Dask distributed", "dask_distributed"),
    BatchPeer("ZeroMQ", "zeromq"),
    BatchPeer("MPI, mpi4py.futures", "mpi", prefix=(*MPI, sys.executable, "-m", "mpi4py.futures"), needs=(MPIEXEC,)),
    BatchPeer("Spark, local mode", "spark", needs=(JAVA,)),
    BatchPeer("Flink, local mini cluster", "flink", prefix=(FLINK.python,), needs=(JAVA, FLINK)),
    BatchPeer("TensorFlow, tf.data", "tensorflow_data", prefix=(TENSORFLOW.python,), needs=(TENSORFLOW,)),
]

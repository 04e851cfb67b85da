"""The dispatcher's own CPU time while many jobs wait: goal 8 of the benchmark."""

import asyncio
from dataclasses import dataclass, replace

from app.job import Job
from app.kernels.fibonacci.task import FibonacciTask
from benchmarks.simulation.ingress import SimulatedIngress
from benchmarks.simulation.meter import Meter, run_metered
from benchmarks.simulation.parameters import Parameters
from harness.simulated_worker import SimulatedWorker

NUM_WORKERS = 100
NUM_BATCHES = 4_000
LARGE = (100_000, 100)
"""Terms and sequences of a job of seconds, which goes in many batches."""
TINY = (10, 1)
"""A job of microseconds, of which many ride in one batch."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a batch cost the dispatcher, in microseconds of this machine's CPU time, with so many jobs waiting."""

    num_waiting: int
    """Jobs that still waited at the end of what was measured."""
    num_batches: int
    num_jobs: int
    """Jobs answered meanwhile."""
    admission_microseconds: float
    """Of each job, until it waits."""
    batch_microseconds: float
    """Of each batch: cutting, sending, collecting what returns, answering the jobs that it ends."""


def dispatch_while_waiting(parameters: Parameters, shape: tuple[int, int], num_jobs: int) -> Waiting:
    """Post twice ``num_jobs`` jobs, then meter the dispatcher until half are left or enough batches were sent."""

    async def main(meter: Meter) -> Waiting:
        workers = {f"w{i}": SimulatedWorker(f"w{i}") for i in range(NUM_WORKERS)}
        ingress = SimulatedIngress(replace(parameters, num_workers=NUM_WORKERS), workers, parameters.seed)
        dispatcher = ingress.dispatcher
        dispatcher.set_workers(workers)
        tasks = [
            asyncio.create_task(meter.awaiting(dispatcher.run(Job("", FibonacciTask(*shape)))))
            for _ in range(2 * num_jobs)
        ]
        await asyncio.sleep(0)
        admission_seconds, already_sent, meter.cpu_seconds = meter.cpu_seconds, ingress.num_batches, 0.0
        unfinished = dispatcher.num_unfinished_jobs
        while ingress.num_batches < already_sent + NUM_BATCHES and dispatcher.num_queued_jobs > num_jobs:  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(parameters.dispatch_seconds or 0.001)
        sent = max(1, ingress.num_batches - already_sent)
        return Waiting(
            num_waiting=dispatcher.num_queued_jobs,
            num_batches=sent,
            num_jobs=unfinished - dispatcher.num_unfinished_jobs,
            admission_microseconds=admission_seconds / len(tasks) * 1e6,
            batch_microseconds=meter.cpu_seconds / sent * 1e6,
        )

    return run_metered(main)

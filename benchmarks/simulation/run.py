"""One simulated run: a job on every ingress, all at once, until the last is answered."""

import asyncio
import random
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

from app.job import Job
from app.kernels.fibonacci.task import FibonacciTask
from benchmarks.simulation.ingress import SimulatedIngress
from benchmarks.simulation.meter import Meter, run_metered
from benchmarks.simulation.parameters import Parameters
from harness.simulated_worker import COST, SimulatedWorker


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run. Seconds are virtual, microseconds are this machine's CPU time."""

    num_workers: int
    num_ingresses: int
    efficiency: float
    """Ideal over real seconds. Ideal: all workers busy all the time, nobody dead, sequences in one piece."""
    total_seconds: float
    tail_seconds: float
    """From the end of the median worker's last batch to the last answer."""
    workers_used: int
    num_batches: int
    num_late: int
    """Batches that the dispatchers gave to a second worker, because the first took too long."""
    num_lost: int
    """Batches lost with their workers."""
    ingress_busy: float
    """The part of the time that the busiest ingress spent on dispatching."""
    dispatcher_microseconds: float
    """The dispatcher's own CPU time, a batch."""
    simulation_microseconds: float
    """All CPU time, a batch: the above, the event loop's and the simulated workers'."""


def simulate(parameters: Parameters) -> Outcome:
    """Run it; takes about 0.2 ms of CPU a batch."""

    async def main(meter: Meter) -> Outcome:
        return await _Run(parameters, meter).outcome()

    return run_metered(main)


class _Run:
    def __init__(self, parameters: Parameters, meter: Meter) -> None:
        self._parameters = parameters
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(parameters.seed)  # noqa: S311 (no secret)
        self._alive: dict[str, SimulatedWorker] = {}
        self._dead: list[SimulatedWorker] = []
        self._num_joined = 0
        self._ingresses = [
            SimulatedIngress(parameters, self._alive, parameters.seed + i) for i in range(parameters.num_ingresses)
        ]
        stragglers = round(parameters.straggler_share * parameters.num_workers)
        slow = set(self._random.sample(range(parameters.num_workers), stragglers))
        for number in range(parameters.num_workers):
            self._add(parameters.straggler_factor if number in slow else 1.0)
        self._announce()

    async def outcome(self) -> Outcome:
        parameters, ingresses = self._parameters, self._ingresses
        jobs = list(_jobs(parameters))
        work_seconds = sum(COST.seconds(job.task, 0, job.task.length, job.task.num_lines) for job in jobs)
        ideal_seconds = work_seconds / sum(1 / worker.slowness for worker in self._alive.values())
        for moment in self._moments_of_death(ideal_seconds):
            self._loop.call_at(moment, self._kill_any)
        began = time.process_time()
        await asyncio.gather(*(self._run(ingress, job) for ingress, job in zip(ingresses, jobs, strict=True)))
        cpu_seconds = time.process_time() - began
        total_seconds = self._loop.time()
        workers = [*self._alive.values(), *self._dead]
        num_batches = sum(ingress.num_batches for ingress in ingresses)
        return Outcome(
            num_workers=parameters.num_workers,
            num_ingresses=parameters.num_ingresses,
            efficiency=ideal_seconds / total_seconds,
            total_seconds=total_seconds,
            tail_seconds=total_seconds - statistics.median(worker.ended_at or 0.0 for worker in workers),
            workers_used=sum(worker.ended_at is not None for worker in workers),
            num_batches=num_batches,
            num_late=sum(ingress.num_late for ingress in ingresses),
            num_lost=sum(ingress.num_lost for ingress in ingresses),
            ingress_busy=max(ingress.busy_seconds for ingress in ingresses) / total_seconds,
            dispatcher_microseconds=self._meter.cpu_seconds / num_batches * 1e6,
            simulation_microseconds=cpu_seconds / num_batches * 1e6,
        )

    async def _run(self, ingress: SimulatedIngress, job: Job) -> None:
        (result,) = await self._meter.awaiting(ingress.dispatcher.run(job))
        if result.counts != [job.task.length] * job.task.num_lines:
            raise RuntimeError("a sequence came back short")

    def _moments_of_death(self, ideal_seconds: float) -> Iterable[float]:
        for _ in range(round(self._parameters.death_share * self._parameters.num_workers)):
            yield self._random.uniform(0.0, ideal_seconds)

    def _kill_any(self) -> None:
        if not self._alive:
            return
        worker = self._alive.pop(self._random.choice(list(self._alive)))
        self._dead.append(worker)
        worker.die()
        self._loop.call_later(self._parameters.notice_seconds, self._announce)
        self._loop.call_later(self._parameters.replacement_seconds, self._join)

    def _join(self) -> None:
        self._add(1.0)
        self._announce()

    def _add(self, slowness: float) -> None:
        worker = SimulatedWorker(f"w{self._num_joined:05}", slowness)
        self._alive[worker.worker_id] = worker
        self._num_joined += 1

    def _announce(self) -> None:
        for ingress in self._ingresses:
            self._meter.call(ingress.hear_of, list(self._alive))


def _jobs(parameters: Parameters) -> Iterable[Job]:
    """A job for each ingress, of nearly equal size, at least a sequence each."""
    terms = parameters.sequence_terms
    each = COST.seconds(FibonacciTask(terms), 0, terms)
    sequences = round(parameters.seconds_per_worker * parameters.num_workers / each)
    for number in range(parameters.num_ingresses):
        share = (sequences + number) // parameters.num_ingresses
        yield Job("", FibonacciTask(terms, max(1, share)))

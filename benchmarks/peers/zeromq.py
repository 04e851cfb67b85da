"""ZeroMQ's guide, "Divide and Conquer": a ventilator pushes tasks to workers, which push results to a sink."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once
from benchmarks.peers import Run

STOP = -1


def work(tasks_url: str, results_url: str) -> None:
    """A worker: say that it is there, then answer every task with its size, until told to stop."""
    context = zmq.Context()
    results = context.socket(zmq.PUSH)
    results.connect(results_url)
    tasks = context.socket(zmq.PULL)
    tasks.connect(tasks_url)
    results.send_pyobj(0)
    while (sequence_size := tasks.recv_pyobj()) != STOP:
        results.send_pyobj(compute_at_once(0, sequence_size))
    context.destroy()


@contextmanager
def start() -> Iterator[Run]:
    context = zmq.Context()
    ventilator, sink = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    urls = [f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}" for socket in (ventilator, sink)]
    # Spawned: a forked process may not use its parent's context.
    processes = [multiprocessing.get_context("spawn").Process(target=work, args=urls, daemon=True) for _ in range(CPUS)]
    for process in processes:
        process.start()
    for _ in processes:
        sink.recv_pyobj()

    def run(sequence_size: int, num_sequences: int) -> list[int]:
        for _ in range(num_sequences):
            ventilator.send_pyobj(sequence_size)
        return [sink.recv_pyobj() for _ in range(num_sequences)]

    try:
        yield run
    finally:
        for _ in processes:
            ventilator.send_pyobj(STOP)  # in turn: one to each
        for process in processes:
            process.join()
        context.destroy()

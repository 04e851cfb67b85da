"""The tutorial's ``run_remote``, as published: the same lists as Ray tasks."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers import Run
from benchmarks.peers.ray_cluster import ray_cluster
from benchmarks.tutorial_remote import run_remote


@contextmanager
def start() -> Iterator[Run]:
    with ray_cluster():
        yield run_remote

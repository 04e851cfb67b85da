"""The tutorial's ``run_local``, as published: lists, plain Python."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers import Run
from benchmarks.tutorial import run_local


@contextmanager
def start() -> Iterator[Run]:
    yield run_local

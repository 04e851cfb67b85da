"""What people would use instead: each a small file, set up as its own documentation recommends.

Those that run a batch in one call have ``start()``, a context manager that gives a ``Run``. The servers run as
``python -m benchmarks.peers.NAME PORT`` and take ``POST /fibonacci``.
"""

from collections.abc import Callable

Run = Callable[[int, int], list[int]]
"""Sequence size, number of sequences -> the sizes of the sequences."""

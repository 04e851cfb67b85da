"""The policy that fits the worker pool to the cluster: as many workers as its live nodes have CPUs for."""

import time
from typing import Any

import ray
from ray.serve.config import AutoscalingContext

NODES_AGE_SECONDS = 1.0
"""Serve's controller asks the policy about three times a second; nodes change seldom."""


class ClusterCpuPolicy:
    """Counts whole workers a node, so that no replica stays pending on CPUs scattered over nodes."""

    def __init__(self) -> None:
        self._num_workers = 1
        self._counted_at = float("-inf")

    def __call__(self, _context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        """The number of workers to run."""
        now = time.monotonic()
        if now - self._counted_at > NODES_AGE_SECONDS:
            self._counted_at = now
            self._num_workers = max(1, count_workers(ray.nodes()))  # type: ignore[no-untyped-call]
        return self._num_workers, {}


def count_workers(nodes: list[dict[str, Any]]) -> int:
    """How many workers, of a CPU each, the live ones of ``ray.nodes()`` have room for."""
    alive = (node for node in nodes if node["Alive"])
    return sum(int(node["Resources"].get("CPU", 0.0)) for node in alive)

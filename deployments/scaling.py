"""The policy that fits the worker pool to the cluster: a worker for each CPU of its nodes that Serve has not given
to other replicas."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray._private import state, worker  # the modules: Serve pickles the policy with what it refers to
from ray.serve.config import AutoscalingContext

NODES_AGE_SECONDS = 1.0
"""Serve's controller asks the policy about three times a second; nodes change seldom."""


@dataclass
class Others:
    """CPUs that are not for our workers, because Serve runs other replicas."""

    held: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By node id."""
    waiting: float = 0.0
    """Of replicas that have no node yet."""

    def add(self, cpus: float, num_replicas: int, nodes: list[str | None]) -> None:
        """Count a deployment that is to have so many replicas of so many CPUs; ``nodes``: of those that exist."""
        placed = [node for node in nodes if node is not None]
        for node in placed:
            self.held[node] += cpus
        self.waiting += cpus * (max(num_replicas, len(nodes)) - len(placed))


class ClusterCpuPolicy:
    """Counts whole workers a node, so that no replica stays pending on CPUs scattered over nodes."""

    def __init__(self) -> None:
        self._num_workers = 1
        self._counted_at = float("-inf")

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        """The number of workers to run."""
        now = time.monotonic()
        if now - self._counted_at > NODES_AGE_SECONDS:
            self._counted_at = now
            nodes = ray.nodes()  # type: ignore[no-untyped-call]
            draining = (
                state.state.get_draining_nodes()
            )  # ray.nodes() calls them alive, but Ray places nothing new there
            self._num_workers = max(1, count_workers(nodes, draining, others_than(context.deployment_id)))
        return self._num_workers, {}


def count_workers(nodes: list[dict[str, Any]], draining: Mapping[str, Any], others: Others) -> int:
    """How many workers, of a CPU each, the live ones of ``ray.nodes()`` have room for beside the others."""
    staying = (node for node in nodes if node["Alive"] and node["NodeID"] not in draining)
    free = (node["Resources"].get("CPU", 0.0) - others.held.get(node["NodeID"], 0.0) for node in staying)
    return sum(max(0, int(cpus)) for cpus in free) - math.ceil(others.waiting)


def others_than(deployment_id: Any) -> Others:
    """What all other deployments hold and wait for.

    Serve does not tell a policy, but calls it in the controller's process: these are the controller's own records.
    """
    others = Others()
    for controller in worker.global_worker.actors.values():
        deployments = controller.deployment_state_manager._deployment_states  # noqa: SLF001 (nothing public has it)
        for other_id, deployment in deployments.items():
            if other_id != deployment_id and deployment.target_info is not None:
                nodes = [replica.actor_node_id for replica in deployment._replicas.get()]  # noqa: SLF001 (as above)
                others.add(_cpus(deployment.target_info.replica_config), deployment.target_num_replicas, nodes)
    return others


def _cpus(replica_config: Any) -> float:
    """The CPUs that one replica takes."""
    bundles = replica_config.placement_group_bundles or [replica_config.resource_dict]
    return math.fsum(bundle.get("CPU", 0.0) for bundle in bundles)

"""Run as a script: the service on a Ray cluster of two nodes on this machine, until SIGINT.

SIGUSR1 lets another node of one CPU join; SIGUSR2 kills the one that joined last.
"""

import os
import queue
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.cluster_utils import Cluster

from chaos.network import ADDED, PLACE
from deployments.launcher import environment, lifecycle, serve_config
from deployments.launcher.console import say

JOIN, LEAVE, STOP = signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT


def main() -> None:
    wishes: queue.SimpleQueue[int] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        config: dict[str, Any] = yaml.safe_load(Path(sys.argv[1]).read_text())
        address = serve_config.read_address(config, None, 0)
        serve_config.prepare(config, address, Path(folder))
        os.environ[environment.HAPROXY_BINDS] = ",".join(address.binds)
        config["proxy_location"] = "HeadOnly"  # all nodes are on this machine: one proxy can have the port
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
        for number in (JOIN, LEAVE, STOP, signal.SIGTERM):
            signal.signal(number, lambda number, _frame: wishes.put(number))
        try:
            schema = lifecycle.checked(config)
            lifecycle.deploy(schema, say, verbose=False)
            lifecycle.wait_until_ready(address.url, schema, threading.Event())
            _obey(wishes, cluster, address.url)
        finally:
            lifecycle.shut_down()
            cluster.shutdown()  # type: ignore[no-untyped-call]


def _obey(wishes: "queue.SimpleQueue[int]", cluster: Cluster, url: str) -> None:
    nodes: list[Any] = [_add_node(cluster)]  # now that the ingress has its place on the first, which stays
    say(f"ready on {url}")
    while (wish := wishes.get()) in (JOIN, LEAVE):
        if wish == JOIN:
            nodes.append(_add_node(cluster))
        else:
            cluster.remove_node(nodes.pop(), allow_graceful=False)


def _add_node(cluster: Cluster) -> Any:
    return cluster.add_node(num_cpus=1, labels={PLACE: ADDED})


if __name__ == "__main__":
    main()

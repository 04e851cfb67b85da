"""Run as a script: the service on a Ray cluster of two nodes on this machine, until SIGINT.

SIGUSR1 lets another node of one CPU join; SIGUSR2 kills the one that joined last.
"""

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

from deployments.console import say
from deployments.launcher import lifecycle
from deployments.launcher.own_config import prepare

JOIN, LEAVE, STOP = signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT


def main() -> None:
    wishes: queue.SimpleQueue[int] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        config = prepare(yaml.safe_load(Path(sys.argv[1]).read_text()), None, 0, Path(folder))
        config["proxy_location"] = "HeadOnly"  # all nodes are on this machine: one proxy can have the port
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
        for number in (JOIN, LEAVE, STOP, signal.SIGTERM):
            signal.signal(number, lambda number, _frame: wishes.put(number))
        try:
            lifecycle.deploy(lifecycle.checked(config), verbose=False)
            _obey(wishes, cluster, f"http://127.0.0.1:{config['http_options']['port']}")
        finally:
            lifecycle.shut_down(verbose=True)
            cluster.shutdown()  # type: ignore[no-untyped-call]


def _obey(wishes: "queue.SimpleQueue[int]", cluster: Cluster, url: str) -> None:
    lifecycle.wait_until_ready(f"{url}/readyz", threading.Event())
    nodes: list[Any] = [cluster.add_node(num_cpus=1)]  # now that the ingress has its place on the first, which stays
    say(f"ready on {url}")
    while (wish := wishes.get()) in (JOIN, LEAVE):
        if wish == JOIN:
            nodes.append(cluster.add_node(num_cpus=1))
        else:
            cluster.remove_node(nodes.pop(), allow_graceful=False)


if __name__ == "__main__":
    main()

"""Run as a script: the service on a cluster of one node; a second one joins, computes, and leaves during a job.

Writes one JSON object to the file it is given: the number of workers at each step, and how the job ended.
"""

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import ray
import yaml
from ray import serve
from ray.cluster_utils import Cluster

from deployments.launch import _deploy, prepare

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 40


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = prepare(yaml.safe_load((ROOT / "serve_config.yaml").read_text()), None, 0, Path(folder))
        config["proxy_location"] = "HeadOnly"  # both nodes are on this machine: one HAProxy can have the port
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
        try:
            _deploy(config, verbose=False)
            report = grow_and_shrink(cluster, f"http://127.0.0.1:{config['http_options']['port']}")
            Path(sys.argv[1]).write_text(json.dumps(report))
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()
            cluster.shutdown()  # type: ignore[no-untyped-call]


def grow_and_shrink(cluster: Cluster, url: str) -> dict[str, Any]:
    alone = wait_for_workers(url, 1)
    node = cluster.add_node(num_cpus=1)
    joined = wait_for_workers(url, 2)
    statuses: list[int] = []
    nodes: list[int] = []

    def post() -> None:
        body = {"sequence_size": 100_000, "num_sequences": 150}
        answer = httpx.post(f"{url}/fibonacci", json=body, timeout=120)
        statuses.append(answer.status_code)
        nodes.append(len({batch["node_id"] for batch in answer.json()["batches"]}))

    caller = threading.Thread(target=post)
    caller.start()
    time.sleep(1.0)
    cluster.remove_node(node, allow_graceful=False)
    caller.join()
    left = wait_for_workers(url, 1)
    return {"alone": alone, "joined": joined, "left": left, "statuses": statuses, "nodes": nodes}


def wait_for_workers(url: str, wanted: int) -> int:
    """The number of workers once it is as wanted, or when patience is over."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    found = -1
    while found != wanted and time.monotonic() < give_up_at:
        time.sleep(0.2)
        try:
            workers = httpx.get(f"{url}/pool", timeout=5).raise_for_status().json()["workers"]
        except (httpx.HTTPError, ValueError):
            continue
        found = sum(worker["state"] != "silent" for worker in workers)
    return found


if __name__ == "__main__":
    main()

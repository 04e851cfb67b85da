"""The pool follows the cluster's nodes, and a node that is lost in the middle of a job is not noticed."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from chaos.cluster import JOIN, LEAVE
from chaos.registry import two_nodes
from chaos.stage import Stage
from harness.processes import wait_until

JOB = {"sequence_size": 100_000, "num_sequences": 300}
PATIENCE_SECONDS = 40


def all_have_computed(stage: Stage) -> bool:
    return all(worker["completed_batches"] for worker in stage.pool()["workers"])


@pytest.mark.timeout(240)
def test_the_pool_grows_and_shrinks_with_the_nodes_and_no_job_is_lost() -> None:
    with two_nodes() as stage, ThreadPoolExecutor(1) as caller:
        assert stage.live_workers() == 2
        job = caller.submit(httpx.post, f"{stage.url}/fibonacci", json=JOB, timeout=120)
        wait_until(lambda: all_have_computed(stage), 10, "both nodes compute for the job")
        assert not job.done()
        stage.service.process.send_signal(LEAVE)
        batches = job.result().raise_for_status().json()["batches"]
        assert len({batch["node_id"] for batch in batches}) == 2
        assert any(batch["attempts"] > 1 for batch in batches), "a batch was lost with the node"
        wait_until(lambda: len(stage.pool()["workers"]) == 1, PATIENCE_SECONDS, "the pool has shrunk")
        stage.service.process.send_signal(JOIN)
        wait_until(lambda: stage.live_workers() == 2, PATIENCE_SECONDS, "the pool has grown")

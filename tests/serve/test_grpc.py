"""Batches over gRPC, as one line of ``serve_config.yaml`` has it, instead of as actor calls."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from chaos.stage import IDLE_CPU, Config, staged
from tests.serve import bounds
from tests.serve.callers import LONG_JOB, open_request
from tests.serve.processes import wait_until

JOB = {"sequence_size": 100_000, "num_sequences": 150}


def with_grpc(config: Config) -> None:
    config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_USE_GRPC_BY_DEFAULT"] = "1"


def test_a_killed_worker_and_a_caller_that_leaves_are_as_with_actor_calls() -> None:
    with staged(with_grpc) as stage, ThreadPoolExecutor(1) as caller:
        job = caller.submit(httpx.post, f"{stage.url}/fibonacci", json=JOB, timeout=120)
        wait_until(lambda: stage.pool()["unfinished_jobs"] == 1, 10, "the job runs")
        stage.workers()[0].kill()
        answer = job.result().raise_for_status().json()
        assert answer["sizes"] == [100_000] * 150
        assert max(batch["attempts"] for batch in answer["batches"]) == 2
        wait_until(stage.is_whole, bounds.WORKER_REPLACED, "the worker is replaced")
        with open_request(stage.service, LONG_JOB):
            wait_until(lambda: stage.busy_cpu(0.5) > 1.0, 10, "both workers compute")
            titles = [process.cmdline()[0] for process in stage.workers()]
            assert not any("handle_request" in title for title in titles), "that is how Ray names an actor call"
        wait_until(lambda: stage.busy_cpu(0.25) < IDLE_CPU, 2, "they stop")
        assert not [str(check) for check in stage.left_behind() if not check.met]

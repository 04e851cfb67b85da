"""Run as a script: another driver on the launcher's cluster, as an operator's shell would be.

``python -m chaos.attach ADDRESS deploy FILE SECONDS`` deploys a configuration as ``serve deploy`` does, and waits for
its end, 90 seconds at most unless it is told; ``... ADDRESS run START STOP`` sends one worker a batch of that segment,
``... ADDRESS ask`` an empty one.
Prints one JSON object.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from app.job import Batch, Segment
from app.kernels.fibonacci.task import FibonacciTask

NAME = "fibonacci"
ASK_SECONDS = 90.0


def deploy(path: str, patience_seconds: str = "90") -> dict[str, Any]:
    """The application's status and message when deploying has ended, or after so long, and how long it took."""
    schema = ServeDeploySchema.model_validate(yaml.safe_load(Path(path).read_text()))
    client = _get_global_client()
    if client is None:
        raise RuntimeError("Serve does not run there")
    begun = time.monotonic()
    client.deploy_apps(schema, _blocking=False)
    time.sleep(1.0)  # until the controller has accepted it, the status is the old one's
    while time.monotonic() - begun < float(patience_seconds):
        application = serve.status().applications[NAME]
        if application.status != ApplicationStatus.DEPLOYING:
            break
        time.sleep(0.2)
    return {
        "status": application.status.value,
        "message": application.message,
        "seconds": time.monotonic() - begun,
    }


def run(start: str, stop: str) -> dict[str, Any]:
    """What a worker answers to a batch of one segment."""
    return asyncio.run(_run(Batch((Segment(FibonacciTask(int(stop)), int(start), int(stop)),))))


async def _run(batch: Batch) -> dict[str, Any]:
    handle: Any = serve.get_deployment_handle("FibonacciWorker", NAME)
    begun = time.monotonic()
    result = await handle.run.remote(batch)
    (segment,) = result.segments
    return {
        "verified": segment.verified,
        "num_units": segment.num_units,
        "compute_seconds": segment.compute_seconds,
        "seconds": time.monotonic() - begun,
    }


def ask() -> dict[str, Any]:
    """How many results a worker returns for an empty batch."""
    handle: Any = serve.get_deployment_handle("FibonacciWorker", NAME)
    return {"segments": len(handle.run.remote(Batch(())).result(timeout_s=ASK_SECONDS).segments)}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {"deploy": deploy, "run": run, "ask": ask}


def main() -> None:
    address, command, *arguments = sys.argv[1:]
    ray.init(address=address, namespace="serve", log_to_driver=False, logging_level=logging.ERROR)
    report = COMMANDS[command](*arguments)
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()

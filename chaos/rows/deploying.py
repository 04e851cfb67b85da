"""New versions under load, good and bad."""

import json
import math
import os
import subprocess
import sys
import time
from typing import Any

import httpx

from chaos.load import open_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.rows.workers import SETTLE_SECONDS
from chaos.stage import Stage
from harness.config import Change, Config, changed_config, limits_of
from harness.processes import alive

NEVER_MAX_SIZE = 9_999_998
"""Of the versions that do not come into force."""
TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")
"""By which a driver has the cluster's token."""


def redeployed(stage: Stage, settle_seconds: float = SETTLE_SECONDS) -> Outcome:
    """Changed settings: new replicas take over from the old ones."""
    new = new_max_size(stage)

    def change(config: Config) -> None:
        limits_of(config)["max_sequence_size"] = new

    before = stage.workers()
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(settle_seconds)
        report = deploy(stage, change)
        stage.until(lambda: max_size(stage) == new, 30)
        time.sleep(settle_seconds)
    stage.until(stage.is_whole, 60)
    return outcome_of(
        record,
        Check("running", report["status"] == "RUNNING", 1, ">="),
        Check("new settings in force", max_size(stage) == new, 1, ">="),
        Check("old workers left", len(alive(before)), 0),
        Check("deployed after, s", report["seconds"]),
        *stage.left_behind(),
    )


def redeployed_badly(stage: Stage) -> Outcome:
    """A version that cannot be imported: the old one goes on."""
    return _not_deployed(stage, "chaos.nothing:build")


def redeployed_without_ingress(stage: Stage) -> Outcome:
    """A version whose ingress cannot be constructed: the old one goes on, until a good version replaces it."""
    return _made_good(stage, _not_deployed(stage, "chaos.broken:ingress_fails"))


def redeployed_without_worker(stage: Stage) -> Outcome:
    """A version whose workers cannot be constructed: the old ones that are left go on, for the new ingress.

    On full CPUs a worker has to go before another can come, so one is missing until a good version comes.
    """
    outcome = _not_deployed(stage, "chaos.broken:worker_fails", keeps_settings=False)
    outcome.checks.append(Check("workers left", stage.live_workers(), stage.num_workers - 1, ">="))
    return _made_good(stage, outcome)


def _not_deployed(stage: Stage, import_path: str, *, keeps_settings: bool = True) -> Outcome:
    def change(config: Config) -> None:
        config["applications"][0]["import_path"] = import_path
        limits_of(config)["max_sequence_size"] = NEVER_MAX_SIZE

    before = max_size(stage)
    with open_loop(stage.url, stage.rate) as record:
        time.sleep(SETTLE_SECONDS)
        report = deploy(stage, change)
        time.sleep(2 * SETTLE_SECONDS)
    return outcome_of(
        record,
        Check("it says that it failed", report["status"] == "DEPLOY_FAILED", 1, ">="),
        Check("it says so after, s", report["seconds"]),
        Check("the old settings in force", max_size(stage) == before, 1 if keeps_settings else None, ">="),
        *stage.left_behind(),
    )


def _made_good(stage: Stage, outcome: Outcome) -> Outcome:
    """After a good version; otherwise Serve would go on trying."""
    report = deploy(stage)
    whole = stage.until(stage.is_whole, 60)
    outcome.checks += [
        Check("running again with a good version", report["status"] == "RUNNING", 1, ">="),
        Check("whole again", math.isfinite(whole), 1, ">="),
    ]
    return outcome


def deploy(stage: Stage, *changes: Change, patience_seconds: float = 90.0) -> dict[str, Any]:
    """Deploy a changed ``serve_config.yaml`` from another driver; what it reports."""
    with changed_config(*changes) as path:
        return attach(stage, "deploy", str(path), f"{patience_seconds:g}")


def attach(stage: Stage, *arguments: str) -> dict[str, Any]:
    """Run ``chaos.attach`` on the stage's cluster."""
    (raylet,) = stage.processes("--raylet_socket_name=")
    flag = "--gcs-address="
    address = next(a.removeprefix(flag) for a in raylet.cmdline() if a.startswith(flag))
    command = [sys.executable, "-m", "chaos.attach", address, *arguments]
    # A driver that takes another address for its own waits for a node there.
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if address.startswith("127.") else {}
    token = {name: raylet.environ()[name] for name in TOKEN_VARIABLES if name in raylet.environ()}
    done = subprocess.run(  # noqa: S603 (ours)
        command, env=os.environ | token | loopback, capture_output=True, text=True, check=True, timeout=150
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def new_max_size(stage: Stage) -> int:
    """A largest sequence that no version here has had: one with the same settings would replace nothing."""
    return max_size(stage) - 10


def max_size(stage: Stage) -> int:
    """The largest sequence that the service takes now; 0 if it does not say."""
    try:
        document = httpx.get(f"{stage.url}/openapi.json", timeout=5).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return 0
    size: int = document["components"]["schemas"]["JobRequest"]["properties"]["sequence_size"]["maximum"]
    return size

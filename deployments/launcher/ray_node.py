"""Ray on this machine alone: its processes, but for those that a service on one node has no use for.

Ray reads the environment when it is imported: set that first, then import this.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import ray
from ray._private import parameter
from ray._private.node import Node
from ray.exceptions import RayError

from deployments.launcher.console import LaunchError, RetryError, last_line
from deployments.launcher.folder import RAY

OBJECT_STORE_BYTES = 80_000_000
"""Near Ray's minimum: batches and results are far smaller than what goes through the object store."""


def start_ray(num_cpus: int, folder: Path, metrics_port: int, *, verbose: bool) -> None:
    """Start a cluster of one node with its session in ``folder``. Raises ``LaunchError`` or ``RetryError``."""
    try:
        with _without_idlers(log_monitor=verbose):
            ray.init(
                address="local",  # never one that happens to run
                num_cpus=num_cpus,
                object_store_memory=OBJECT_STORE_BYTES,
                namespace="serve",
                include_dashboard=False,
                log_to_driver=verbose,
                logging_level=logging.INFO if verbose else logging.ERROR,
                _temp_dir=str(folder / RAY),
                _metrics_export_port=metrics_port,
            )
    except (AttributeError, OSError, RuntimeError, ValueError, RayError) as error:
        raise LaunchError(f"Ray did not start: {last_line(error)}") from None
    except Exception as error:  # noqa: BLE001 (Ray raises a bare one when its node took 30 s, on a busy machine)
        raise RetryError(f"Ray did not start: {last_line(error)}") from None


@contextmanager
def _without_idlers(*, log_monitor: bool) -> Iterator[None]:
    """Ray starts three processes more that only wait here: 170 MB, and a tenth of what an idle service takes of a core.

    The autoscaler, where there are no other nodes; the dashboard's, which without a dashboard reports usage, and that
    is off; and unless its lines are asked for, the log monitor. ``ray.init`` has no option for any of them.
    """
    options: dict[str, Any] = {"no_monitor": True, "include_log_monitor": log_monitor}
    chosen = partial(parameter.RayParams, **options)
    with mock.patch.object(parameter, "RayParams", chosen), mock.patch.object(Node, "start_api_server"):
        yield


def dead_processes() -> list[str]:
    """Those of Ray's own processes that have ended unasked, and without which it cannot go on."""
    node = ray._private.worker._global_node  # noqa: SLF001 (nothing public says it)
    if node is None:
        return []
    return sorted({kind for kind, _ in node.dead_processes() if kind in ("raylet", "gcs_server")})

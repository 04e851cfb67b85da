"""Copies of ``serve_config.yaml`` with changes: other settings, two ingresses, calls of actors, Serve's own proxy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
Config = dict[str, Any]
Change = Callable[[Config], None]
"""Changes ``serve_config.yaml``'s content in place."""


@contextmanager
def changed_config(*changes: Change) -> Iterator[Path]:
    """A copy of ``serve_config.yaml`` with changes, in a file."""
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    for change in changes:
        change(config)
    with TemporaryDirectory(prefix="fibonacci-chaos-") as folder:
        path = Path(folder) / "serve_config.yaml"
        path.write_text(yaml.safe_dump(config))
        yield path


def limits_of(config: Config) -> Config:
    """The limits of the Fibonacci kernel."""
    limits: Config = config["applications"][0]["args"]["kernels"][0]["limits"]
    return limits


def two_ingresses(config: Config) -> None:
    """Two replicas of the ingress."""
    (ingress,) = [d for d in config["applications"][0]["deployments"] if d["name"] == "FibonacciIngress"]
    ingress["num_replicas"] = 2


def actor_calls(config: Config) -> None:
    """Calls of actors between deployments, instead of gRPC."""
    config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_USE_GRPC_BY_DEFAULT"] = "0"


def default_proxy(config: Config) -> None:
    """Serve's own proxy instead of HAProxy."""
    config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_ENABLE_HA_PROXY"] = "0"

"""Stages for durable jobs: the service with a place for them that is known, and can be had by another service, too."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock
from urllib.parse import urlsplit

from chaos.network import ADDED, NETWORK, PLACE, THIS_HOST
from chaos.stage import Stage
from harness.config import Change, Config, changed_config, two_ingresses
from harness.postgres import PostgresServer, running_server
from harness.service import Service, StartError, launched, started

PASSWORD = "FIBONACCI_JOBS_PASSWORD"  # noqa: S105 (an environment variable)
CPUS = 2
DISK_BYTES = 16 * 2**20
"""Enough for thousands of jobs, and soon full."""


def jobs_in(folder: Path) -> Change:
    """Durable jobs in this folder; a redeploy without it would leave them alone."""

    def change(config: Config) -> None:
        config["applications"][0]["args"]["jobs_folder"] = str(folder)

    return change


def jobs_on(url: str) -> Change:
    """Durable jobs in this database."""

    def change(config: Config) -> None:
        config["applications"][0]["args"]["jobs_database"] = url

    return change


def keeper_on_an_added_node(config: Config) -> None:
    """Whenever a keeper starts and there is such a node; otherwise on another."""
    elsewhere = [{"label_selector": {PLACE: f"!{ADDED}"}}]
    options = {"num_cpus": 0, "label_selector": {PLACE: ADDED}, "fallback_strategy": elsewhere}
    config["applications"][0]["deployments"].append({"name": "FibonacciKeeper", "ray_actor_options": options})


@contextmanager
def with_jobs(*changes: Change) -> Iterator[Stage]:
    """Durable jobs in a folder of their own."""
    with TemporaryDirectory(prefix="fibonacci-jobs-") as name, _launchable(jobs_in(Path(name)), *changes) as stage:
        stage.folder = Path(name)
        yield stage


@contextmanager
def twins_with_jobs(*changes: Change) -> Iterator[Stage]:
    """The same with two ingresses."""
    with with_jobs(two_ingresses, *changes) as stage:
        stage.until(lambda: all(stage.pool()["ingress_replicas"] == 2 for _ in range(8)), 30)
        yield stage


@contextmanager
def on_small_disk(*changes: Change) -> Iterator[Stage]:
    """Durable jobs on a disk that is soon full; ``stage.folder`` is all of it."""
    if os.geteuid():
        raise StartError("a disk of its own needs root")
    with TemporaryDirectory(prefix="fibonacci-disk-") as name, ExitStack() as mounted:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", name]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)  # noqa: S603 (a folder of ours)
        if done.returncode:
            raise StartError(f"there is no disk of its own: {done.stderr.strip()}")
        mounted.callback(subprocess.run, ["umount", "--lazy", name], check=False)
        with _launchable(jobs_in(Path(name, "jobs")), *changes) as stage:
            stage.folder = Path(name)
            yield stage


@contextmanager
def on_postgres(*changes: Change) -> Iterator[Stage]:
    """Durable jobs in a database."""
    with running_server() as server, _with_password(server), _launchable(jobs_on(server.url()), *changes) as stage:
        stage.database = server
        yield stage


@contextmanager
def two_nodes_on_postgres(*changes: Change) -> Iterator[Stage]:
    """A cluster of two nodes on this machine, with the keeper on the second."""
    without_token = mock.patch.dict(os.environ, RAY_AUTH_MODE="disabled")  # Ray's Cluster has none to give
    with running_server() as server, _with_password(server), without_token:
        all_changes = (jobs_on(server.url()), keeper_on_an_added_node, *changes)
        with changed_config(*all_changes) as path, started("chaos.cluster", str(path)) as service:
            stage = Stage(service, CPUS, database=server)
            stage.until(stage.is_whole, 40)
            yield stage


@contextmanager
def two_networks_on_postgres(*changes: Change) -> Iterator[Stage]:
    """The same, but each node has a network of its own, and reaches the database on this host through it."""
    if os.geteuid() or not shutil.which("ip"):
        raise StartError("network namespaces need root and iproute2")
    with running_server(NETWORK.format(0, 0) + "/16") as server, _with_password(server):
        all_changes = (jobs_on(server.url(host=THIS_HOST)), keeper_on_an_added_node, *changes)
        with changed_config(*all_changes) as path, started("chaos.network", str(path)) as service:
            stage = Stage(service, CPUS, database=server)
            stage.until(stage.is_whole, 60)
            yield stage


@contextmanager
def _launchable(*changes: Change) -> Iterator[Stage]:
    """A service, and the means to start it again where it was."""

    with changed_config(*changes) as path:
        same = ("--cpus", str(CPUS), "--config", str(path))
        with launched(*same) as service:
            stage = Stage(service, CPUS, launch=lambda *options: launched(*same, *options))
            stage.until(stage.is_whole, 30)
            yield stage


def _with_password(server: PostgresServer) -> "mock._patch_dict":
    return mock.patch.dict(os.environ, {PASSWORD: server.password})


def same_port(service: Service) -> tuple[str, str]:
    """The options of a launcher by which it listens where this one does."""
    return "--port", str(urlsplit(service.url).port)

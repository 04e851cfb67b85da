"""The table's rows: what happens, on which stage, in the order in which they are run."""

import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from chaos.durable_stage import (
    on_postgres,
    on_small_disk,
    twins_with_jobs,
    two_networks_on_postgres,
    two_nodes_on_postgres,
    with_jobs,
)
from chaos.outcome import Outcome
from chaos.rows import (
    answering,
    crowd,
    deploying,
    enduring,
    following,
    hostile,
    inventing,
    keeping,
    lasting,
    leaving,
    nodes,
    overload,
    pausing,
    renewing,
    restarting,
    serving,
    sharing,
    soak,
    spanning,
    stopping,
    storing,
    timing,
    watching,
    workers,
    yielding,
)
from chaos.stage import LIAR, Stage, sabotaged, staged
from harness.config import Change, actor_calls, changed_config, two_ingresses
from harness.processes import descendants
from harness.service import StartError, started

StartStage = Callable[..., AbstractContextManager[Stage]]


@dataclass(frozen=True)
class Row:
    """``start`` gives the stage; rows with the same one follow each other on it, unless it was left in pieces."""

    name: str
    text: str
    start: StartStage
    run: Callable[[Stage], Outcome]
    with_default_proxy: bool = True


@contextmanager
def twins(*changes: Change) -> Iterator[Stage]:
    """Two ingress replicas."""
    with staged(two_ingresses, *changes) as stage:
        # A connection each: both answer, and both know of each other.
        if math.isinf(stage.until(lambda: all(stage.pool()["ingress_replicas"] == 2 for _ in range(8)), 30)):
            raise StartError("there are not two ingress replicas")
        yield stage


@contextmanager
def hampered(*changes: Change) -> Iterator[Stage]:
    """A service whose HAProxy's manager is killed as it starts."""

    def kill() -> None:
        while not over.is_set():
            for manager in descendants(os.getpid(), serving.HAPROXY_MANAGER):
                manager.kill()
                return
            time.sleep(0.01)

    over = threading.Event()
    with ThreadPoolExecutor(1) as killer:
        killer.submit(kill)
        try:
            with staged(*changes) as stage:
                over.set()
                yield stage
        finally:
            over.set()


@contextmanager
def saboteurs(*changes: Change) -> Iterator[Stage]:
    """Workers of which one lies."""
    with TemporaryDirectory(prefix="fibonacci-chaos-") as folder, staged(sabotaged(Path(folder)), *changes) as stage:
        yield stage


@contextmanager
def liars(*changes: Change) -> Iterator[Stage]:
    """Three workers, of which one lies whenever it is asked to: so a third one can be asked who is right."""
    with TemporaryDirectory(prefix="fibonacci-chaos-") as name:
        folder = Path(name)
        with staged(sabotaged(folder), *changes, cpus=3) as stage:
            stage.folder = folder
            yield stage


@contextmanager
def poisonable(*changes: Change) -> Iterator[Stage]:
    """Workers that can be poisoned. None lies: where only a liar is left, an honest job too fails its check twice."""
    with TemporaryDirectory(prefix="fibonacci-chaos-") as name:
        folder = Path(name)
        (folder / LIAR).touch()  # so none will be the first
        with staged(sabotaged(folder), *changes) as stage:
            stage.folder = folder
            yield stage


@contextmanager
def five_workers(*changes: Change) -> Iterator[Stage]:
    """More workers than a job may lose."""
    with staged(*changes, cpus=5) as stage:
        yield stage


@contextmanager
def by_actor_calls(*changes: Change) -> Iterator[Stage]:
    """Batches as calls of actors instead of over gRPC."""
    with staged(actor_calls, *changes) as stage:
        yield stage


@contextmanager
def two_nodes(*changes: Change) -> Iterator[Stage]:
    """A cluster of two nodes of one CPU each."""
    without_token = mock.patch.dict(os.environ, RAY_AUTH_MODE="disabled")  # Ray's Cluster has none to give
    with without_token, changed_config(*changes) as path, started("chaos.cluster", str(path)) as service:
        stage = Stage(service, 2)
        stage.until(stage.is_whole, 40)
        yield stage


@contextmanager
def two_networks(*changes: Change) -> Iterator[Stage]:
    """A cluster of two nodes that each have a network of their own."""
    if os.geteuid() or not shutil.which("ip"):
        raise StartError("network namespaces need root and iproute2")
    with changed_config(*changes) as path, started("chaos.network", str(path)) as service:
        stage = Stage(service, 2)
        stage.until(stage.is_whole, 60)
        yield stage


@contextmanager
def to_stop(*changes: Change) -> Iterator[Stage]:
    """A service to stop: each of these rows has one of its own, since the row before leaves none."""
    with staged(*changes) as stage:
        yield stage


@contextmanager
def impatient(*changes: Change) -> Iterator[Stage]:
    """A service to stop that waits only a few seconds for its jobs."""
    with staged(*changes, options=("--grace-seconds", f"{stopping.SHORT_GRACE_SECONDS:g}")) as stage:
        yield stage


ROWS = (
    Row("undisturbed", "nothing happens", staged, workers.undisturbed),
    Row("workers-killed", "a random worker, `kill -9`, every 5 s for 60 s", staged, workers.killed_again_and_again),
    Row("all-workers-killed", "every worker at once, `kill -9`", staged, workers.all_killed),
    Row("worker-killed", "one worker, once, `kill -9`", staged, workers.one_killed),
    Row("worker-frozen", "a worker frozen for good, `SIGSTOP`", staged, workers.frozen),
    Row("worker-thawed", "a worker frozen for 4 s, `SIGSTOP` and `SIGCONT`", staged, workers.thawed),
    Row("controller-killed", "the Serve controller, `kill -9`", staged, serving.controller_killed),
    Row("proxy-killed", "Serve's own proxy, `kill -9` (a fallback behind HAProxy)", staged, serving.proxy_killed),
    Row("leavers", "1,000 callers that leave at random moments", staged, leaving.callers_leave),
    Row("beside-tiny", "a job of 2 s beside 32 callers of tiny ones", staged, sharing.beside_tiny),
    Row("served-alike", "32 callers of one default-size sequence each", staged, sharing.served_alike),
    Row("overload", "ten times the sustainable load for 180 s", staged, overload.overloaded),
    Row("busy-and-full", "all workers compute and the queue is full", staged, timing.busy_and_full),
    Row("long-batches", "a job of 60 s in one call; sent straight to a worker, a batch at term 50,000,000", staged,
        timing.long_batches),
    Row("deadlines", "deadlines, and Serve's own headers", staged, timing.deadlines),
    Row("hostile", "hostile bodies and content types of every kind", staged, hostile.refused),
    Row("idle-connections", "5,000 idle connections", staged, crowd.idle_connections),
    Row("invented-names", "12,000 invented methods, paths and header names", staged, inventing.invented_names),
    Row("paused", "all of it stands still for 60 s, `SIGSTOP` and `SIGCONT`", staged, pausing.paused),
    Row("soak", "sustainable load for 2 minutes", staged, soak.soaked),
    Row("redeploy", "a redeploy with changed settings", staged, deploying.redeployed),
    Row("watched", "16 viewers of the page who do not read, beside tiny jobs", staged, watching.stalled,
        False),
    Row("redeploy-watched", "a redeploy with 16 open pages", staged, watching.redeployed_watched, False),
    Row("redeploy-broken", "a redeploy that cannot start", staged, deploying.redeployed_badly),
    Row("redeploy-no-ingress", "a redeploy whose ingress cannot be constructed", staged,
        deploying.redeployed_without_ingress),
    Row("redeploy-no-worker", "a redeploy whose workers cannot be constructed", staged,
        deploying.redeployed_without_worker),
    Row("haproxy-killed", "the HAProxy process, `kill -9`", staged, serving.haproxy_killed, False),
    Row("manager-killed", "Serve's actor that runs HAProxy, `kill -9`", staged, serving.manager_killed, False),
    Row("ingress-killed", "one of two ingress replicas, `kill -9`", twins, serving.ingress_killed),
    Row("ingress-orphans", "the ingress that all workers work for, `kill -9`", twins, serving.ingress_orphans, False),
    Row("long-redeploy", "a job of 4 minutes across a redeploy and the `kill -9` of another ingress", twins,
        lasting.redeployed_and_killed, False),
    Row("start-hampered", "HAProxy's manager, `kill -9` as the service starts", hampered, serving.started_anyway,
        False),
    Row("flipped-bits", "a worker that flips a bit in every fifth segment", saboteurs, workers.flipped_bits),
    Row("lies", "a worker that lies in all its sums, then in its seeds, then in its digests", liars, workers.lied_to,
        False),
    Row("poison", "a job that kills every worker it meets", poisonable, workers.poisoned),
    Row("five-killed", "five of five workers at once, `kill -9`", five_workers, workers.all_killed),
    Row("actor-worker-killed", "with calls of actors, one worker, once, `kill -9`", by_actor_calls, workers.one_killed),
    Row("actor-leavers", "with calls of actors, 1,000 callers that leave at random moments", by_actor_calls,
        leaving.callers_leave),
    Row("node-joins", "a node joins", two_nodes, nodes.node_joins),
    Row("node-leaves", "a node leaves in the middle of jobs", two_nodes, nodes.node_leaves),
    Row("node-cut-15", "a node's link is down for 15 s", two_networks, nodes.cut_off_for_15_s),
    Row("node-cut-40", "a node's link is down for 40 s", two_networks, nodes.cut_off_for_40_s),
    Row("sigterm", "SIGTERM to the launcher with 8 jobs in flight", to_stop, stopping.sigterm),
    Row("sigint", "SIGINT to the launcher with 8 jobs in flight", to_stop, stopping.sigint),
    Row("group-sigterm", "SIGTERM to the launcher's whole process group with 8 jobs in flight", to_stop,
        stopping.group_sigterm),
    Row("group-sighup", "SIGHUP to the launcher's whole process group with 8 jobs in flight", to_stop,
        stopping.group_sighup),
    Row("sigterm-drops", "SIGTERM to the launcher with a job that outlasts its 4 s", impatient, stopping.dropped),
    Row("sigterm-twice", "SIGTERM to the launcher with a long job, twice", to_stop, stopping.signalled_twice),
    Row("durable-answers", "durable jobs on an idle service, and on one all of whose workers are busy", with_jobs,
        answering.answered, False),
    Row("durable-cancels", "1,000 durable jobs, each cancelled within a second", with_jobs, answering.cancelled, False),
    Row("durable-beside-tiny", "tiny jobs beside a durable one that fills the pool", with_jobs, yielding.beside_tiny,
        False),
    Row("durable-share", "a durable job beside 16 callers who keep all workers busy", with_jobs, yielding.saturated,
        False),
    Row("durable-forecast", "the predicted ends of eight durable jobs", with_jobs, enduring.forecast, False),
    Row("durable-cost", "a job of 20 s, synchronous and durable in turns", with_jobs, enduring.cost, False),
    Row("durable-keeper-killed", "the keeper of durable jobs, once, `kill -9`, beside a long one", with_jobs,
        keeping.keeper_killed, False),
    Row("durable-keeper-kills", "the keeper of durable jobs, `kill -9`, every 5 s for 60 s", with_jobs,
        keeping.keeper_killed_again_and_again, False),
    Row("durable-keeper-frozen", "the keeper of durable jobs frozen for good, `SIGSTOP`", with_jobs,
        keeping.keeper_frozen, False),
    Row("durable-controller", "the Serve controller, `kill -9`, with durable jobs under way", with_jobs,
        keeping.controller_killed, False),
    Row("durable-worker-kills", "a random worker, `kill -9`, every 5 s for 60 s, with durable jobs under way",
        with_jobs, keeping.workers_killed_again_and_again, False),
    Row("durable-two-services", "a second service for the same durable jobs", with_jobs, renewing.two_services, False),
    Row("durable-redeploy", "a redeploy with changed settings and durable jobs under way", with_jobs,
        renewing.redeployed, False),
    Row("durable-redeploy-broken", "two redeploys that cannot start, with durable jobs under way", with_jobs,
        renewing.redeployed_badly, False),
    Row("durable-all-killed", "every process, `kill -9`, with 20 durable jobs under way, and started again", with_jobs,
        restarting.killed_once, False),
    Row("durable-all-kills", "the same five times", with_jobs, restarting.killed_five_times, False),
    Row("durable-ingress-killed", "one of two ingress replicas, `kill -9`, while 20 durable jobs are followed",
        twins_with_jobs, following.ingress_killed, False),
    Row("durable-disk-full", "the disk of durable jobs is full for 5 s", on_small_disk, storing.disk_full, False),
    Row("postgres-restarted", "PostgreSQL stopped for 5 s, with durable jobs under way", on_postgres,
        storing.database_restarted, False),
    Row("postgres-cut", "all connections to PostgreSQL ended, five times, with durable jobs under way", on_postgres,
        storing.connections_ended, False),
    Row("postgres-frozen", "PostgreSQL frozen for 30 s, with durable jobs under way", on_postgres,
        storing.database_frozen, False),
    Row("postgres-two-services", "two services for the durable jobs of one database, and the first is stopped",
        on_postgres, renewing.taken_over, False),
    Row("postgres-node-killed", "the node of the keeper of durable jobs, `kill -9`", two_nodes_on_postgres,
        spanning.node_killed, False),
    Row("postgres-node-cut", "the link of the node of the keeper of durable jobs is down until another goes on",
        two_networks_on_postgres, spanning.node_cut_off, False),
)  # fmt: skip

CI_ROWS = (
    "workers-killed", "worker-frozen", "busy-and-full", "redeploy-no-worker", "haproxy-killed", "ingress-killed",
    "flipped-bits", "poison", "node-leaves", "sigterm-drops", "durable-keeper-killed",
)  # fmt: skip
"""What CI runs, in at most 15 minutes. Of faults that are much alike it has one row: no second way to kill all
workers, the proxy or a job's ingress, or to deploy what cannot start, and nothing by calls of actors. `tests/places`
signals the launcher and its group, and `tests/serve` has hostile bodies, idle connections, invented names, a killed
controller, leavers, deadlines, and a service that is killed as a whole with durable jobs. It leaves out what lasts
minutes by itself (`overload`, `paused`, `long-redeploy`, `long-batches`, `soak`)."""

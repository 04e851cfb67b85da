"""``build``: the import path of ``serve_config.yaml``."""

import os

from ray import serve
from ray._common.constants import HEAD_NODE_RESOURCE_NAME
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, RequestRouterConfig
from ray.serve.exceptions import RayServeException

from app.kernel import KernelError, offers_of
from app.keys import ApiKeys, KeysError
from app.settings import Settings
from deployments.config import serve_options
from deployments.config.api_keys import read_keys
from deployments.ingress import FibonacciIngress
from deployments.keeper import FibonacciKeeper
from deployments.worker import FibonacciWorker

MAX_WORKERS = 10_000
UNLIMITED = 100_000
"""The dispatcher bounds what is in flight and in the queue, with better answers than Serve's; so Serve need not."""
ON_THE_HEAD = {HEAD_NODE_RESOURCE_NAME: 0.001}
"""Only the first node has it, and has one; Serve places its controller in the same way."""


def build(settings: Settings) -> Application:
    """The application that ``serve_config.yaml`` names. Raises ``RayServeException`` if it cannot run here.

    Serve calls it in a Ray task on any node, in the environment and the folder that Ray was started in there.
    """
    if wrong := serve_options.missing():
        raise RayServeException(wrong)  # the one that Serve reports without a traceback
    try:
        offers_of(settings)  # the ingress loads them itself: only their import paths travel
        return application(settings, read_keys(settings.api_keys_file, os.environ))
    except (KernelError, KeysError) as error:
        raise RayServeException(str(error)) from None


def application(settings: Settings, keys: ApiKeys | None) -> Application:
    """An ingress over a pool of workers that fits the cluster's CPUs, and a keeper if durable jobs have a place."""
    workers = serve.deployment(
        ray_actor_options={"num_cpus": 1},
        max_ongoing_requests=UNLIMITED,
        request_router_config=RequestRouterConfig(
            request_router_class="deployments.routing.router:WorkerRouter",  # type: ignore[arg-type]
        ),
        autoscaling_config=AutoscalingConfig(
            min_replicas=1,
            max_replicas=MAX_WORKERS,
            upscale_delay_s=0,
            downscale_delay_s=0,
            policy=AutoscalingPolicy(  # type: ignore[no-untyped-call]
                policy_function="deployments.scaling:ClusterCpuPolicy"
            ),
        ),
    )(FibonacciWorker).bind()
    ingress = serve.deployment(
        # No CPU is reserved for it: on two cores a reserved one would halve the pool.
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=UNLIMITED,
    )(FibonacciIngress)
    # A file's keys are read by every ingress itself, when it starts and whenever the file changes.
    return ingress.bind(settings, workers, None if settings.api_keys_file else keys, keeper(settings, workers))


def keeper(settings: Settings, workers: Application) -> Application | None:
    """The keeper of durable jobs, over the same workers.

    Its options are here, not in ``serve_config.yaml``: Serve refuses a file that names a deployment that is not there.
    """
    if settings.jobs_folder is None and settings.jobs_database is None:
        return None
    # A file can be opened on one node only, so whatever replaces the keeper has to be there too.
    placed = {} if settings.jobs_database else {"resources": ON_THE_HEAD}
    deployment = serve.deployment(
        num_replicas=1,
        max_surge_percent=0,  # a redeploy stops the old one first: it has the store
        ray_actor_options={"num_cpus": 0, **placed},
        max_ongoing_requests=UNLIMITED,
        graceful_shutdown_timeout_s=10,  # its calls take at most 3 s, and then it writes for a moment
        graceful_shutdown_wait_loop_s=0.2,  # how often Serve looks whether the calls are over; durable jobs stand still
        health_check_period_s=2,  # a dead one is noticed within so long; durable jobs stand still until it is replaced
        health_check_timeout_s=5,
        # At INFO Serve makes a record of each call.
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )(FibonacciKeeper)
    return deployment.bind(settings, workers)

"""A service in a cluster of its own, step by step: deploy, wait, drain, end.

Ray reads the environment when it is imported: set that first, then import this.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from pydantic import ValidationError
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve._private.api import serve_start
from ray.serve._private.client import ServeControllerClient
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from app.settings import Settings
from app.status import DurableCounts
from deployments.launcher.console import LaunchError, RetryError, last_line
from deployments.launcher.durable import at_the_end, number_of
from deployments.launcher.health import is_ready
from deployments.launcher.shape import IMPORT_PATH
from deployments.launcher.state import KEEPER

INGRESS = "FibonacciIngress"
"""The deployment that marks an application as one of ours, whatever the configuration calls it."""
POLL_SECONDS = 0.1
SETTLED_SECONDS = 0.7
"""Serve's controller looks three times a second for something to change."""
MAX_SETTLING_SECONDS = 10.0


def checked(config: dict[str, Any]) -> ServeDeploySchema:
    """The configuration as Serve reads it. Raises ``LaunchError`` with every key that is wrong.

    Our settings are read here too: Serve would report what is wrong with them later, and in a traceback.
    """
    try:
        schema = ServeDeploySchema.model_validate(config)
        if not schema.applications:
            raise LaunchError("the configuration has no applications")
        for application in schema.applications:
            if application.import_path == IMPORT_PATH:
                Settings.model_validate(application.args)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise LaunchError(f"the configuration is invalid: {wrong}") from None
    return schema


def deploy(schema: ServeDeploySchema, say: Callable[[str], None], *, verbose: bool) -> None:
    """What ``serve run`` does with the file. Raises ``LaunchError``; ``RetryError`` if a port was taken meanwhile."""
    if not verbose:
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        try:
            client = _start_serve(schema)
        except RayActorError as error:  # seen: it hung as it forked HAProxy, and the controller killed it after 26 s
            if "failed to start their listeners" in str(error):
                raise
            say("a proxy died as it started; Serve is starting another, and you need do nothing")
            client = _start_serve(schema)
    except (RayError, TimeoutError) as error:
        problem = f"Serve did not start: {last_line(error)}"
        if "failed to start their listeners" in str(error):
            raise RetryError(problem) from None
        raise LaunchError(problem) from None
    client.deploy_apps(schema, _blocking=False)


def _start_serve(schema: ServeDeploySchema) -> ServeControllerClient:
    """Start the controller and wait for the proxies; if the controller is there, connect to it."""
    return serve_start(
        http_options=schema.http_options.model_dump(),
        proxy_location=schema.proxy_location,
        controller_options=schema.controller_options,
    )


def wait_until_ready(url: str, schema: ServeDeploySchema, stop: threading.Event) -> list[str]:
    """Wait until every application runs and ours are ready; returns the addresses of ours.

    Raises ``LaunchError`` if one failed. Returns early when ``stop`` is set.
    """
    prefixes = {each.name: (each.route_prefix or "").rstrip("/") for each in schema.applications}
    waiting = dict(prefixes)
    ours: list[str] = []
    while waiting and not stop.wait(POLL_SECONDS):
        for name, application in serve.status().applications.items():
            if application.status == ApplicationStatus.DEPLOY_FAILED:
                raise LaunchError(f"application {name} failed: {last_line(application.message)}")
            if name not in waiting:
                continue
            is_ours, where = INGRESS in application.deployments, url + prefixes[name]
            if is_ready(f"{where}/readyz") if is_ours else application.status == ApplicationStatus.RUNNING:
                del waiting[name]
                ours += [where] if is_ours else []
    return ours


def wait_until_settled(folder: Path, stop: threading.Event) -> None:
    """Wait until HAProxy, whose files are in ``folder``, has not been replaced for a moment.

    While Serve starts, it is replaced seven or eight times, the last time just after the workers have replied. One that
    was replaced closes the connections that it still has, and answers 500 to some of the requests on them.
    """
    called_at = time.time()
    give_up_at = time.monotonic() + MAX_SETTLING_SECONDS
    while time.monotonic() < give_up_at and not stop.wait(POLL_SECONDS):
        replaced_at = max((path.stat().st_mtime for path in folder.glob("*/haproxy.cfg")), default=0.0)
        if time.time() - max(replaced_at, called_at) > SETTLED_SECONDS:
            return


def leave() -> None:
    """Have ``/readyz`` of every ingress of ours say 503; jobs are still accepted."""
    for ingress in _each(INGRESS):
        with contextlib.suppress(RayError, RayServeException, TimeoutError):
            _broadcast(ingress, "leave")


def drain(grace_seconds: float, drop: threading.Event, say: Callable[[str], None]) -> None:
    """Stop admission and wait for the jobs in flight, until time is up or ``drop`` is set."""
    give_up_at = time.monotonic() + grace_seconds
    said = unfinished = None
    while True:
        counts = [_stop_admission(ingress) for ingress in _each(INGRESS)]
        if None not in counts:
            unfinished = sum(filter(None, counts))
            if not unfinished:
                return
        if unfinished != said:
            say(f"waiting for {number_of('job', unfinished)} (a second signal drops what is left)")
            said = unfinished
        if drop.wait(POLL_SECONDS) or time.monotonic() >= give_up_at:
            break
    say("dropping any unfinished jobs" if unfinished is None else f"dropping {number_of('unfinished job', unfinished)}")


def count_durable() -> list[DurableCounts | None]:
    """What each keeper of our applications has; None if it, or Serve, does not say."""
    counts: list[DurableCounts | None] = []
    for keeper in _keepers():
        try:
            counts += _broadcast(keeper, "counts", 2) or [None]
        except (RayError, RayServeException, TimeoutError):
            counts.append(None)
    return counts


def _keepers() -> list[DeploymentHandle[Any]]:
    """None if Serve does not say."""
    try:
        return _each(KEEPER)
    except (RayError, RayServeException, TimeoutError):
        return []


def close_keepers(say: Callable[[str], None]) -> None:
    """Have the keepers write down how far their jobs are, and say how many go on at the next start."""
    unfinished = 0
    for keeper in _keepers():
        # Of one that does not answer, all but the last second is written.
        with contextlib.suppress(RayError, RayServeException, TimeoutError):
            unfinished += sum(_broadcast(keeper, "close"))
    if line := at_the_end(unfinished):
        say(line)


def _stop_admission(ingress: DeploymentHandle[Any]) -> int | None:
    """How many of its jobs are unfinished; None if it does not say, being busy or replaced: ask again."""
    try:
        return int(sum(_broadcast(ingress, "drain")))
    except (RayError, RayServeException, TimeoutError):
        return None


def _each(deployment: str) -> list[DeploymentHandle[Any]]:
    """Those of our applications with this name; one that is still being built has none. Raises what Serve raises."""
    found = []
    for name, application in serve.status().applications.items():
        if deployment in application.deployments:
            with contextlib.suppress(RayServeException):
                found.append(serve.get_deployment_handle(deployment, name))
    return found


def _broadcast(deployment: DeploymentHandle[Any], method: str, timeout_seconds: float = 5) -> list[Any]:
    try:
        replies: list[Any] = deployment.broadcast(method).results(timeout_s=timeout_seconds)
    except DeploymentUnavailableError:
        return []  # no replica is there: nothing to wait for
    return replies


def shut_down() -> None:
    """End Serve, then leave the cluster; one that ``start_ray`` started ends with that."""
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()

"""A service in a cluster of its own, step by step: start Ray, deploy, wait, drain, end.

Ray reads the environment when it is imported: set that first, then import this.
"""

import contextlib
import io
import logging
import threading
import time
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
from deployments.console import LaunchError, say
from deployments.readiness import is_ready

IMPORT_PATH = "deployments.application:build"
START_SECONDS = 180.0


def start_ray(num_cpus: int | None, *, verbose: bool) -> str:
    """Start a cluster of one node; the folder of its logs. Raises ``LaunchError``."""
    try:
        context: Any = ray.init(
            address="local",  # never one that happens to run
            num_cpus=num_cpus,
            namespace="serve",
            include_dashboard=False,
            log_to_driver=verbose,
            logging_level=logging.INFO if verbose else logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise LaunchError(f"Ray did not start: {_last_line(error)}") from None
    return str(Path(context.address_info["session_dir"]) / "logs")


def checked(config: dict[str, Any]) -> ServeDeploySchema:
    """The configuration as Serve reads it. Raises ``LaunchError`` with every key that is wrong.

    Our settings are read here too: Serve would tell what is wrong with them later, and in a traceback.
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


def deploy(schema: ServeDeploySchema, *, verbose: bool) -> None:
    """What ``serve run`` does with the file."""
    if not verbose:
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        try:
            client = _start_serve(schema)
        except RayActorError:  # seen: it hung as it forked HAProxy, and the controller killed it after 26 s
            say("a proxy died as it started; Serve starts another")
            client = _start_serve(schema)
    except (RayError, TimeoutError) as error:
        raise LaunchError(f"Serve did not start: {_last_line(error)}") from None
    client.deploy_apps(schema, _blocking=False)


def _start_serve(schema: ServeDeploySchema) -> ServeControllerClient:
    """Start the controller and wait for the proxies; if the controller is there, connect to it."""
    return serve_start(
        http_options=schema.http_options.model_dump(),
        proxy_location=schema.proxy_location,
        controller_options=schema.controller_options,
    )


def wait_until_ready(url: str, stop: threading.Event) -> bool:
    """Whether the service became ready before a signal came."""
    give_up_at = time.monotonic() + START_SECONDS
    asked_at = 0.0
    while not stop.wait(0.05):
        if is_ready(url):
            return True
        if time.monotonic() > give_up_at:
            raise LaunchError(f"not ready after {START_SECONDS:.0f} s")
        if time.monotonic() - asked_at > 1:
            asked_at = time.monotonic()
            for name, application in serve.status().applications.items():
                if application.status == ApplicationStatus.DEPLOY_FAILED:
                    raise LaunchError(f"application {name} failed: {_last_line(application.message)}")
    return False


def drain(grace_seconds: float, stop: threading.Event) -> None:
    """Stop admission and wait for the jobs in flight; a second signal ends the waiting."""
    time.sleep(0.5)  # some senders signal the process and its group: that is one wish, not two
    stop.clear()
    ingresses = _ingresses()
    give_up_at = time.monotonic() + grace_seconds
    said = -1
    unfinished = 0
    while True:
        try:
            unfinished = sum(map(_stop_admission, ingresses))
        except (RayError, RayServeException, TimeoutError):
            pass  # busy, or being replaced: ask again
        else:
            if not unfinished:
                return
            if unfinished != said:
                say(f"waiting for {unfinished} jobs (signal again to drop them)")
                said = unfinished
        if stop.wait(0.1) or time.monotonic() >= give_up_at:
            break
    say(f"dropping {unfinished} unfinished jobs")


def _last_line(what: object) -> str:
    """Of an error or message that may carry a traceback: the line that says what is wrong."""
    lines = [line.strip() for line in str(what).splitlines() if line.strip()]
    return lines[-1] if lines else repr(what)


def _ingresses() -> list[DeploymentHandle[Any]]:
    """Of every application, whatever the configuration calls it; one that is still being built has none."""
    found = []
    for name in serve.status().applications:
        with contextlib.suppress(RayServeException):
            found.append(serve.get_app_handle(name))
    return found


def _stop_admission(ingress: DeploymentHandle[Any]) -> int:
    """How many jobs are unfinished."""
    try:
        return sum(ingress.broadcast("drain").results(timeout_s=5))
    except DeploymentUnavailableError:
        return 0  # no ingress is there: nothing to wait for


def shut_down(*, verbose: bool) -> None:
    """End Serve, then leave the cluster; ``start_ray``'s ends with that."""
    # Ray complains on stdout that the controller, which it was told to stop, has stopped.
    with contextlib.nullcontext() if verbose else contextlib.redirect_stdout(io.StringIO()):
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()

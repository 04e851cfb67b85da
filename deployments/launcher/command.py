"""The launcher's command: reads options and configuration, prepares the folder, runs the service."""

import argparse
import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from app.kernel import KernelError
from app.keys import KeysError
from deployments.config import take_over
from deployments.launcher import environment, folder, kernels, keys, machine, ports, serve_config, state
from deployments.launcher.addresses import Address
from deployments.launcher.console import LaunchError, RetryError, notify, open_missing_streams, say
from deployments.launcher.folder import Folder
from deployments.launcher.metrics_address import PORT as METRICS_PORT
from deployments.launcher.metrics_address import MetricsAddress, read_metrics_address
from deployments.launcher.ports import PortTakenError
from deployments.launcher.shape import settings_of_applications
from deployments.launcher.supervisor import Supervisor, Wishes

MAX_CPUS = 10_000
TRIES = 3


def run(arguments: list[str] | None, description: str | None) -> int:
    """Run the service in the foreground until a signal; the exit code."""
    open_missing_streams()
    options = _parse(arguments, description)
    os.umask(0o077)  # logs, sockets and the token are for nobody else
    try:
        config = _read(options.config)
        has_keys = keys.resolve(config, options.api_keys_file, os.environ)
        cpus = options.cpus or machine.usable_cpus()
        machine.check_room(cpus)
        address = serve_config.read_address(config, options.host, options.port)
        metrics = read_metrics_address(options.metrics_host, options.metrics_port)
        with contextlib.ExitStack() as stack:
            for taken in filter(None, (address, metrics.taken)):
                stack.enter_context(ports.claimed(taken.hosts, taken.port))
            place = stack.enter_context(folder.made(os.environ))
            if exposure := serve_config.describe_exposure(address, has_keys=has_keys):
                say(f"warning: {exposure}")
            if metrics.exposure:
                say(f"warning: {metrics.exposure}")
            say(f"starting on {address.url}, logs in {place.logs}")
            if problem := state.resolve(config, options.state, os.environ):
                say(f"durable jobs: none: {problem}")
            _supervise(config, options, cpus, address, place, metrics=metrics)
    except (LaunchError, PortTakenError, KernelError, KeysError) as error:
        say(f"error: {error}")
        return 1
    say("stopped")
    return 0


def _parse(arguments: list[str] | None, description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.launch", description=description)
    parser.add_argument("--config", type=Path, default=Path("serve_config.yaml"))
    parser.add_argument("--host", help="an address of this machine, or a name; default: the file's")
    parser.add_argument("--port", type=int, help="default: the file's; 0: any free one")
    parser.add_argument("--metrics-host", help="where Prometheus may read the metrics too; default: only on loopback")
    parser.add_argument("--metrics-port", type=int, help=f"default: any free one; beyond loopback {METRICS_PORT}")
    parser.add_argument("--cpus", type=int, help="CPUs of the cluster = workers; default: all that may be used")
    parser.add_argument("--api-keys-file", help="`name:sha256hex` lines; default: the file's")
    parser.add_argument(
        "--state",
        help="a folder that keeps durable jobs over restarts, unless the file names one or a database; default: "
        "$FIBONACCI_STATE, $XDG_STATE_HOME/fibonacci or ~/.local/state/fibonacci",
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="take the durable jobs at once although another service had them in the last 30 s: it loses them",
    )
    for name, default, meaning in (
        ("start", Wishes.start, "how long the start may take"),
        ("lame-duck", Wishes.lame_duck, "how long jobs are still accepted after a signal, while /readyz says 503"),
        ("grace", Wishes.grace, "how long jobs in flight may take to end after a signal"),
    ):
        parser.add_argument(f"--{name}-seconds", type=float, default=default, help=f"{meaning} (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show the logs of all processes")
    options = parser.parse_args(arguments)
    if options.cpus is not None and not 1 <= options.cpus <= MAX_CPUS:
        parser.error(f"argument --cpus: 1 to {MAX_CPUS}")
    for name in ("start_seconds", "lame_duck_seconds", "grace_seconds"):
        if not 0 <= getattr(options, name) <= threading.TIMEOUT_MAX:  # NaN is neither
            parser.error(f"argument --{name.replace('_', '-')}: at least 0, and finite")
    return options


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    # ValueError: not UTF-8, or a date that does not exist; RecursionError: nested too deeply
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise LaunchError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise LaunchError(f"{path} is not a mapping")
    return config


def _supervise(
    config: dict[str, Any],
    options: argparse.Namespace,
    cpus: int,
    address: Address,
    place: Folder,
    *,
    metrics: MetricsAddress,
) -> None:
    routes = kernels.first_routes(config)
    place.copy_code()
    variables = environment.for_the_service(os.environ, place.path) | {
        environment.HAPROXY_BINDS: ",".join(address.binds),
        "RAY_AUTH_TOKEN_PATH": str(place.write_token()),
        "TMPDIR": str(place.path.parent),
        # The copy first; then where this was started, for other applications in the file.
        "PYTHONPATH": os.pathsep.join((str(place.code), str(Path.cwd()))),
        take_over.VARIABLE: str(place.take_over()) if options.take_over else "",
    }
    wishes = Wishes(options.start_seconds, options.lame_duck_seconds, options.grace_seconds)
    supervisor = Supervisor(wishes, place, verbose=options.verbose)
    started_at = time.monotonic()
    agent_port = 0

    def when_ready(addresses: list[str]) -> None:
        say(f"metrics on {metrics.url(agent_port)}")
        if routes and any(args.get("job_log", True) for args in settings_of_applications(config)):
            say(f"a line for each job in {place.logs}/serve/jobs_*.log")
        for prefix, route in routes.items():
            if address.url + prefix in addresses:
                say(f"the live page is at {address.url}{prefix}/")
                say("try: " + _curl_line(address.url + route))
        where = ", ".join(addresses or [address.url])
        say(f"ready on {where} after {time.monotonic() - started_at:.1f} s; Ctrl-C stops it")
        notify("READY=1")

    plan = place.path / folder.PLAN
    command = [place.interpreter(), "-P", "-m", "deployments.launcher.cluster", str(plan)]
    for tries_left in reversed(range(TRIES)):
        serve_config.prepare(config, address, place.path)
        if metrics.shown is not None and not serve_config.has_haproxy(config):
            raise LaunchError("--metrics-host is HAProxy's work: without it the metrics are on loopback only")
        agent_port = metrics.agent_port()
        variables[environment.HAPROXY_METRICS] = metrics.for_haproxy(agent_port)
        asked = {"config": config, "url": address.url, "folder": str(place.path), "cpus": cpus}
        plan.write_text(json.dumps(asked | {"metrics_port": agent_port, "verbose": options.verbose}))
        try:
            supervisor.run(command, variables, when_ready)
        except RetryError as error:
            if not tries_left:
                raise LaunchError(str(error)) from None
            serve_config.check_again(address)
            say(f"{error}; trying once more, with other ports")
        else:
            return


def _curl_line(url: str) -> str:
    """A job with the kernel's defaults."""
    return f"curl --noproxy '*' '{url}' -H 'Content-Type: application/json' -d '{{}}'"

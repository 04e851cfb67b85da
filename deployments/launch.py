"""The launcher: ``serve_config.yaml`` with another host, port or CPU count, in a Ray cluster of its own.

``serve run`` drops the jobs in flight when it is stopped, and joins any cluster that happens to run. This starts
the same file in a new cluster on ports that are free, and on SIGTERM, SIGINT or SIGHUP it stops admission, waits
for the jobs in flight and only then ends Serve.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from app.keys import KeysError
from deployments import key_source
from deployments.console import LaunchError, say
from deployments.launcher import private
from deployments.launcher.own_config import describe_exposure, prepare
from deployments.launcher.ports import PortTakenError

AUTH_MODES = ("token", "disabled")
MAX_CPUS = 10_000
MIN_OPEN_FILES = 16_384
"""HAProxy asks for 10,267 and does not start without."""


def main(arguments: list[str] | None = None) -> int:
    """Run the service in the foreground until a signal; the exit code."""
    options = _parse(arguments)
    stop = threading.Event()
    try:
        _set_environment()
        _raise_open_files()
        _stop_on_signals(stop)
        with tempfile.TemporaryDirectory(prefix="fibonacci-") as folder:
            config = _read(options.config)
            has_keys = key_source.resolve(config, options.api_keys_file, os.environ)
            prepare(config, options.host, options.port, Path(folder))
            if exposure := describe_exposure(config["http_options"]["host"], has_keys=has_keys):
                say(f"warning: {exposure}")
            _run(config, options, stop)
    except (LaunchError, PortTakenError, KeysError) as error:
        say(f"error: {error}")
        return 1
    say("stopped")
    return 0


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
    options = parser.parse_args(arguments)
    if options.cpus is not None and not 1 <= options.cpus <= MAX_CPUS:
        parser.error(f"argument --cpus: 1 to {MAX_CPUS}")
    if not 0 <= options.grace_seconds <= threading.TIMEOUT_MAX:  # NaN is neither
        parser.error("argument --grace-seconds: at least 0, and finite")
    return options


def _set_environment() -> None:
    """What Ray reads from the environment, where nothing else has set it; before Ray is imported.

    Raises ``LaunchError`` if what is set there would silently open Ray's ports.
    """
    mode = os.environ.get("RAY_AUTH_MODE") or "token"
    if mode.lower() not in AUTH_MODES:
        raise LaunchError(f"RAY_AUTH_MODE is {mode!r}: Ray knows {' and '.join(AUTH_MODES)}")
    os.environ["RAY_AUTH_MODE"] = mode
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's own processes run on jemalloc. With as many arenas as it takes by itself the raylet grows for hours.
    os.environ.setdefault("MALLOC_CONF", "narenas:1,tcache:false")
    private.keep_to_this_machine()
    private.keep_to_this_user()


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MIN_OPEN_FILES:
        say(f"warning: only {hard} files may be open (ulimit -n); HAProxy needs {MIN_OPEN_FILES}")
    wanted = max(soft, MIN_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MIN_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    # ValueError: no UTF-8, or a date that there is not; RecursionError: nested too deeply
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise LaunchError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise LaunchError(f"{path} is no mapping")
    return config


def _run(config: dict[str, Any], options: argparse.Namespace, stop: threading.Event) -> None:
    http = config["http_options"]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http["host"], http["host"])  # noqa: S104 (nothing is bound here)
    name = f"[{name}]" if ":" in name else name
    url = f"http://{name}:{http['port']}"
    say(f"starting on {url}")
    started_at = time.monotonic()
    from deployments.launcher import lifecycle  # noqa: PLC0415 (it imports Ray, which reads the environment then)

    schema = lifecycle.checked(config)
    logs = lifecycle.start_ray(options.cpus, verbose=options.verbose)
    _stop_on_signals(stop)  # Ray has installed handlers of its own
    try:
        if stop.is_set():
            return
        lifecycle.deploy(schema, verbose=options.verbose)
        if lifecycle.wait_until_ready(f"{url}/readyz", stop):
            say(f"logs: {logs}")
            say("try: " + _curl_line(url))
            say(f"ready on {url} after {time.monotonic() - started_at:.1f} s; Ctrl-C stops it")
            stop.wait()
        lifecycle.drain(options.grace_seconds, stop)
    finally:
        lifecycle.shut_down(verbose=options.verbose)


def _stop_on_signals(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored: nohup
            signal.signal(number, lambda *_: stop.set())


def _curl_line(url: str) -> str:
    body = '{"sequence_size": 10, "num_sequences": 1}'
    return f"curl -X POST {url}/fibonacci -H 'Content-Type: application/json' -d '{body}'"


if __name__ == "__main__":
    sys.exit(main())

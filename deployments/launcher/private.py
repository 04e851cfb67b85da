"""What the launcher keeps to this machine and to this user, where Ray and Serve would not."""

import contextlib
import os
from pathlib import Path

BIND_TO_LOOPBACK = r"""for file in "$@"; do
  case $file in *.cfg) sed -i -E 's/^( *bind) [*]?:/\1 127.0.0.1:/' "$file" ;; esac
done"""
"""Shell, before HAProxy starts: Serve's template has its metrics and its statistics page on every interface."""

MAX_FOLDER_LENGTH = 27
"""Of the 107 characters of a socket's path, Serve and HAProxy need 80: for a node's id and a temporary name."""


def keep_to_this_machine() -> None:
    """Have Ray, when it is imported, take 127.0.0.1 for the node's address, and so listen on loopback only.

    That is what Ray does on a Mac. The cluster is of one node; no other can join it.
    """
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def keep_to_this_user() -> None:
    """Logs, sockets and a token that Ray makes from now on, and a token that it made before, are for nobody else."""
    os.umask(0o077)
    token = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):  # there is none yet, or it is somebody else's
        Path(token).chmod(0o600)


def haproxy_files(folder: Path) -> dict[str, str]:
    """Serve's settings for HAProxy's files in ``folder``.

    Among them is a socket that rules HAProxy, and to which anyone may connect who can enter the folder.
    Nothing if the folder's path is too long for one: then the files are where Serve puts them.
    """
    if len(str(folder)) > MAX_FOLDER_LENGTH:
        return {}
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
    }

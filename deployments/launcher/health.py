"""Whether a health route of a service on this machine says yes."""

from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

TIMEOUT_SECONDS = 2.0


def is_ready(url: str) -> bool:
    """Whether a GET of ``url`` succeeds, without a proxy: one that ``http_proxy`` names cannot reach this machine."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, HTTPException):
        return False

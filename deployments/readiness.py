"""Whether a service on this machine is ready. Run as a script, the image's health check: exit code 0 if it is."""

import sys
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

TIMEOUT_SECONDS = 2.0


def is_ready(url: str) -> bool:
    """Whether a GET of ``url`` succeeds, asked straight: a proxy that ``http_proxy`` names cannot know this machine."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(not is_ready(sys.argv[1]))

"""Whether a service on this machine is ready. As a script, it is the image's health check: exit code 0 if it is.

``python -m deployments.readiness [URL ...]``: without an address, the service of this user's launcher.
"""

import os
import sys

from deployments.launcher.folder import running_plans
from deployments.launcher.health import is_ready
from deployments.launcher.shape import IMPORT_PATH


def addresses() -> list[str]:
    """``/readyz`` of each application of ours that this user's launchers run."""
    return [
        f"{plan['url']}{application.get('route_prefix', '/').rstrip('/')}/readyz"
        for plan in running_plans(os.environ)
        for application in plan["config"]["applications"]
        if application.get("import_path") == IMPORT_PATH
    ]


def main(urls: list[str]) -> int:
    """The exit code: 0 if there is something to ask, and all of it is ready."""
    urls = urls or addresses()
    return 0 if urls and all(map(is_ready, urls)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

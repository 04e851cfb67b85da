"""What the service needs from Serve, and Serve reads only when it starts."""

from typing import Any

from ray.serve._private import constants

NEEDED: dict[str, Any] = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.serve_headers:middlewares",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": False,
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": False,
}
"""Without the first a caller decides how Serve handles its request (``deployments.serve_headers``); without the others
the ingress and its calls run in other threads than ``deployments.routing.router`` says."""


def missing() -> str:
    """What this process lacks, in one line that says what to do; empty if it has everything."""
    wrong = [name for name, value in NEEDED.items() if getattr(constants, name) != value]
    if not wrong:
        return ""
    values = " ".join(f"{name}={int(value) if value is False else value}" for name, value in NEEDED.items())
    return (
        f"Serve was started without options that this service needs: {', '.join(wrong)}. It reads them only when it "
        "starts: run `serve shutdown`, then deploy serve_config.yaml again, or, if others use this Serve too, set "
        f"{values} before `ray start` on every node"
    )

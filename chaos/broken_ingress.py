"""The service with an ingress that cannot be constructed: an import path for a redeploy that goes wrong late.

The application builds, so Serve begins to replace the replicas, and only then learns that no new one starts.
"""

from typing import Any
from unittest import mock

from ray.serve import Application

from app.settings import Settings
from deployments import application, ingress


class FibonacciIngress(ingress.FibonacciIngress):
    """Named like the real one: the name is the deployment's."""

    async def __init__(self, *_: Any) -> None:  # type: ignore[misc]
        raise RuntimeError("cannot be constructed")


def build(settings: Settings) -> Application:
    """The import path."""
    with mock.patch.object(application, "FibonacciIngress", FibonacciIngress):
        return application.build(settings)

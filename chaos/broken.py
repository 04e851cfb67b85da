"""The service with a part that cannot be constructed: import paths for redeploys that go wrong late.

The application builds, so Serve begins to replace the replicas, and only then learns that no new one starts.
"""

from typing import Any
from unittest import mock

from ray.serve import Application

from app.settings import Settings
from deployments import application, ingress, worker


class FibonacciIngress(ingress.FibonacciIngress):
    """Named like the real one: the name is the deployment's."""

    async def __init__(self, *_: Any) -> None:  # type: ignore[misc]
        raise RuntimeError("cannot be constructed")


class FibonacciWorker(worker.FibonacciWorker):
    """Named like the real one: the name is the deployment's."""

    def __init__(self) -> None:
        raise RuntimeError("cannot be constructed")


def ingress_fails(settings: Settings) -> Application:
    """An import path."""
    with mock.patch.object(application, "FibonacciIngress", FibonacciIngress):
        return application.build(settings)


def worker_fails(settings: Settings) -> Application:
    """An import path."""
    with mock.patch.object(application, "FibonacciWorker", FibonacciWorker):
        return application.build(settings)

"""One real service for the whole tier: the actual serve_config.yaml, HAProxy on, on free ports."""

from collections.abc import Iterator

import httpx
import pytest

from harness.service import Service, launched


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with launched("--cpus", "2") as started:
        yield started


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=120) as opened:
        yield opened

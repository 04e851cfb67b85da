"""A real service for each module that asks for one: most cases of this tier start their own."""

from collections.abc import Iterator

import pytest

from harness.service import Service, launched


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with launched("--cpus", "2") as started:
        yield started

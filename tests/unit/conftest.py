"""The unit tier runs without Ray: nothing here may import it, let alone start it."""

import sys
from collections.abc import Iterator

import gmpy2  # noqa: F401 (loaded before the guard looks, so that only Ray can fail it)
import pytest


@pytest.fixture(autouse=True)
def no_ray() -> Iterator[None]:
    """Fails the test that imports Ray; what a pytest plugin had loaded before is not its fault."""
    loaded_before = "ray" in sys.modules
    yield
    assert loaded_before or "ray" not in sys.modules, "a unit test imported Ray"

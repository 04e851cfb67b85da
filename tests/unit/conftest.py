"""The unit tier runs without Ray, and the same way every time."""

import sys
from collections.abc import Iterator

import hypothesis
import pytest

hypothesis.settings.register_profile("unit", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile(
    "mutants", hypothesis.settings.get_profile("unit"), max_examples=10, phases=[hypothesis.Phase.generate]
)
hypothesis.settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_ray() -> Iterator[None]:
    """Fails the test that imports Ray; what a pytest plugin had loaded before is not its fault."""
    loaded_before = "ray" in sys.modules
    yield
    assert loaded_before or "ray" not in sys.modules, "a unit test imported Ray"

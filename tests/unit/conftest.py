"""The unit tier runs without Ray, and the same way every time."""

import sys
from typing import NoReturn

import hypothesis
import pytest

hypothesis.settings.register_profile("unit", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile(
    "mutants", hypothesis.settings.get_profile("unit"), max_examples=10, phases=[hypothesis.Phase.generate]
)
hypothesis.settings.load_profile("unit")


def refuse(*_: object, **__: object) -> NoReturn:
    """In the place of what starts or joins a cluster."""
    raise RuntimeError("a unit test starts Ray")


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test that imports Ray; if another collected module has, the test that starts or joins a cluster."""
    if sys.modules.get("ray") is None:
        monkeypatch.setitem(sys.modules, "ray", None)
    else:  # all ways there make one of these, also `ray.cluster_utils` and a call that would start Ray by itself
        monkeypatch.setattr("ray._private.node.Node.__init__", refuse)

"""The unit tier runs without Ray, and the same way every time."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

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


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """A PostgreSQL server of this run's own; skips the test if there is none on this machine."""
    from tests.postgres import running_server  # what the other tests do not need

    with running_server() as server:
        yield server

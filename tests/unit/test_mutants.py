"""`make mutants`: what it changes, and what it changes before."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.mutants import with_plain_properties
from tests.unit.test_layers import imported_by

ROOT = Path(__file__).parents[2]
PLAIN_DATA = {"app.errors", "app.job", "app.kernel", "app.observer", "app.settings"}

EMPTY = """
class Box:
    @property
    def empty(self) -> bool:
        return not self.content

    def __init__(self, content: str) -> None:
        self.content = content
"""


def with_what_it_imports(module: str) -> Iterator[str]:
    """Modules of ``app``, some of them more than once."""
    yield module
    for name in imported_by(module):
        if name.startswith("app."):
            yield from with_what_it_imports(name)


def test_the_dispatcher_and_all_that_it_consists_of_is_changed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    paths = {path.relative_to(ROOT) for pattern in config["only_mutate"] for path in ROOT.glob(pattern)}
    modules = {".".join(path.with_suffix("").parts) for path in paths if path.stem != "__init__"}
    assert modules == set(with_what_it_imports("app.dispatch.dispatcher")) - PLAIN_DATA | {
        "app.compute.turns",
        "app.kernels.fibonacci.task",
        "app.kernels.fibonacci.terms",
    }


def test_a_property_is_one_without_its_decorator_too() -> None:
    source = with_plain_properties(EMPTY)
    namespace: dict[str, type] = {}
    exec(source, namespace)  # noqa: S102 (it stands above)
    assert "@" not in source
    assert [namespace["Box"](content).empty for content in ("", "full")] == [True, False]

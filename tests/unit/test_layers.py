"""Imports point one way: http > observe > durable > dispatch > queue > compute > kernels > the top of ``app``."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("", "kernels", "compute", "queue", "dispatch", "durable", "observe", "http")
"""Folders of ``app``, each above all before it; the first is the vocabulary."""
FOLDERS = ("app", "deployments", "harness", "chaos", "benchmarks", "examples", "set_up", "tests")


def modules(*folders: str) -> list[str]:
    """Every module in these folders and all below them, by its dotted name."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)


APP = modules("app")


def source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


@cache
def imported_by(module: str) -> frozenset[str]:
    """Every module that its source imports, wherever in the file; of ours, with the names that are modules."""
    return frozenset(_imported_by(module))


def _imported_by(module: str) -> Iterator[str]:
    known = modules(*FOLDERS) if module.startswith(FOLDERS) else []
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & set(known) or {node.module or ""}


def packages_imported_by(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imported_by(module)}


def room(module: str) -> str:
    """The folder of ``app`` that it is in; nothing for the vocabulary, and for ``app`` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (parts[1:] and parts[1] in ROOMS) else ""


def loaded_by(module: str) -> set[str]:
    """Top-level packages in a fresh interpreter after importing ``module``."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_tests_below_see_every_room() -> None:
    assert {room(module) for module in APP} == set(ROOMS)
    assert {"app.dispatch.scheduler", "app.http.api", "app.job", "app.kernels.fibonacci.terms"} <= set(APP)


@pytest.mark.parametrize("module", APP)
def test_a_room_imports_only_from_those_below_it(module: str) -> None:
    floor = ROOMS.index(room(module))
    for name in imported_by(module):
        if name.startswith("app."):
            assert ROOMS.index(room(name)) <= floor, f"{module} imports {name}"


@pytest.mark.parametrize("module", APP)
def test_app_imports_neither_ray_nor_what_is_around_it(module: str) -> None:
    assert not {"ray", *FOLDERS[1:]} & packages_imported_by(module)


@pytest.mark.parametrize("module", [module for module in APP if room(module) != "http"])
def test_only_the_http_room_imports_fastapi(module: str) -> None:
    assert not {"fastapi", "starlette"} & packages_imported_by(module)


def folder(module: str) -> str:
    """The folder that it is in: for ``deployments`` the room, for the others the top one."""
    parts = module.split(".")
    return ".".join(parts[:-1] if parts[0] == "deployments" else parts[:1]) or module


def test_no_folders_import_in_a_circle() -> None:
    """Those of ``deployments`` one by one, and the top ones."""
    arrows: dict[str, set[str]] = {}
    for module in modules(*FOLDERS):
        here = arrows.setdefault(folder(module), set())
        here |= {folder(name) for name in imported_by(module) if name.startswith(FOLDERS)} - {folder(module)}
    assert len(arrows) > len(FOLDERS)
    while leaves := {name for name, others in arrows.items() if not others & set(arrows)}:
        arrows = {name: others for name, others in arrows.items() if name not in leaves}
    assert not arrows


@pytest.mark.parametrize("module", [module for module in APP if "getLogger" in source(module)])
def test_whoever_logs_uses_the_logger_that_serve_writes_to_a_replicas_log(module: str) -> None:
    """Any other has no handler there: its lines come out bare, and nobody knows when or from whom."""
    assert set(re.findall(r"getLogger\((.*?)\)", source(module))) == {'"ray.serve"'}


def test_the_api_runs_without_ray() -> None:
    assert "ray" not in loaded_by("app.http.api")


@pytest.mark.parametrize("module", ["app.dispatch.dispatcher", "app.compute.thread", "app.kernels.fibonacci"])
def test_what_computes_and_dispatches_runs_without_fastapi(module: str) -> None:
    assert not {"fastapi", "starlette", "ray"} & loaded_by(module)


WORDS = re.compile(r"(?<![a-z])(terms?|sequences?)(?![a-z])")


@pytest.mark.parametrize("module", [*(m for m in APP if room(m) != "kernels"), *modules("deployments")])
def test_only_kernels_speak_of_terms_and_sequences(module: str) -> None:
    """Whoever adds another kernel touches none of these."""
    said = [line for line in source(module).splitlines() if WORDS.search(line)]
    assert said == []


def test_only_the_settings_name_a_kernel() -> None:
    naming = {m for m in [*APP, *modules("deployments")] if any("app.kernels" in name for name in imported_by(m))}
    assert {module for module in naming if room(module) != "kernels"} == set()


def test_the_launcher_imports_ray_only_after_it_has_set_the_environment() -> None:
    assert "ray" not in loaded_by("deployments.launch")


def test_no_unit_test_starts_ray() -> None:
    with pytest.raises((ImportError, RuntimeError), match=r"import of ray|a unit test starts Ray"):
        importlib.import_module("ray").init(address="local", include_dashboard=False)

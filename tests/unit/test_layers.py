"""Imports point one way: deployments -> app.api -> the rest of app; the kernel knows nobody."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.fibonacci

APP = Path(app.fibonacci.__file__).parent
MODULES = sorted(path.stem for path in APP.glob("*.py") if path.stem != "__init__")
SERVING = {
    "api", "authentication", "docs", "headers", "problem_docs", "problem_pages", "problems", "request_log", "requests",
    "unread_body",
}  # fmt: skip


def loaded_by(module: str) -> set[str]:
    """Top-level packages in a fresh interpreter after importing ``module``."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=APP.parent)
    return set(done.stdout.split())


def imported_by(module: str) -> Iterator[str]:
    """Every module that the source of ``app/<module>.py`` imports, wherever in the file."""
    for node in ast.walk(ast.parse((APP / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"app.{module} imports relatively"
            yield node.module or ""


def packages_imported_by(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imported_by(module)}


def test_the_api_runs_without_ray() -> None:
    assert "ray" not in loaded_by("app.api")


def test_the_kernel_runs_without_fastapi_and_pydantic() -> None:
    assert not {"fastapi", "pydantic", "starlette", "ray"} & loaded_by("app.fibonacci")


def test_the_dispatcher_runs_without_fastapi() -> None:
    assert not {"fastapi", "starlette", "ray"} & loaded_by("app.dispatcher")


def test_the_launcher_imports_ray_only_after_it_has_set_the_environment() -> None:
    assert "ray" not in loaded_by("deployments.launch")


def test_no_unit_test_starts_ray() -> None:
    with pytest.raises((ImportError, RuntimeError), match=r"import of ray|a unit test starts Ray"):
        importlib.import_module("ray").init(address="local", include_dashboard=False)


@pytest.mark.parametrize("module", MODULES)
def test_app_never_imports_ray_or_the_deployments(module: str) -> None:
    assert not {"ray", "deployments"} & packages_imported_by(module)


@pytest.mark.parametrize("module", sorted(set(MODULES) - SERVING))
def test_only_the_api_and_what_it_serves_import_fastapi(module: str) -> None:
    assert not {"fastapi", "starlette"} & packages_imported_by(module)


@pytest.mark.parametrize("module", sorted(set(MODULES) - SERVING))
def test_nothing_below_the_api_imports_it(module: str) -> None:
    assert not {f"app.{name}" for name in SERVING} & set(imported_by(module))


@pytest.mark.parametrize("module", MODULES)
def test_whoever_logs_uses_the_logger_that_serve_writes_to_a_replicas_log(module: str) -> None:
    """Any other has no handler there: its lines come out bare, and nobody knows when or from whom."""
    loggers = re.findall(r"getLogger\((.*?)\)", (APP / f"{module}.py").read_text())
    assert set(loggers) <= {'"ray.serve"'}


def test_the_kernel_imports_nothing_of_the_app() -> None:
    assert "app" not in packages_imported_by("fibonacci")

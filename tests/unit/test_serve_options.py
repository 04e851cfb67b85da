"""A Serve that was started without our options is refused, in one line that says what to do."""

from pathlib import Path

import pytest
import yaml
from ray.serve._private import constants
from ray.serve.exceptions import RayServeException

from app.settings import Settings
from deployments.application import build
from deployments.config.serve_options import NEEDED, missing

CONFIG = Path(__file__).parents[2] / "serve_config.yaml"


@pytest.fixture
def all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setattr(constants, name, value)


@pytest.mark.usefixtures("all_of_them")
def test_with_all_of_them_nothing_is_missing() -> None:
    assert missing() == ""


@pytest.mark.usefixtures("all_of_them")
@pytest.mark.parametrize("name", NEEDED)
def test_each_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, name, True)
    with pytest.raises(RayServeException) as raised:
        build(Settings())
    line = str(raised.value)
    assert line.partition(". ")[0].endswith(f": {name}")
    assert "serve shutdown" in line
    assert "\n" not in line


def test_the_file_sets_what_is_needed() -> None:
    env_vars = yaml.safe_load(CONFIG.read_text())["controller_options"]["runtime_env"]["env_vars"]
    assert {name: env_vars[name] for name in NEEDED} == {
        name: "0" if value is False else value for name, value in NEEDED.items()
    }

"""Of pip's and uv's settings, only where the registry is counts, wherever they stand."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from set_up import registry

INDEX = "https://user:password@mirror.example/simple"
PIP_CONF = f"[global]\nindex-url = {INDEX}\nuser = yes\n[install]\ntarget = /nowhere\ncert = /etc/own.pem\n"
UV_TOML = """
exclude-newer = "2020-01-01"
[[index]]
name = "mirror"
url = "https://a.example"
default = true
[pip]
system = true
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with no settings yet, on a machine with none."""
    for name in os.environ:
        if name.startswith(("PIP_", "UV_", "SSL_")) or name.lower().endswith("proxy"):
            monkeypatch.delenv(name)
    for name, folder in (("HOME", ""), ("XDG_CONFIG_HOME", ""), ("XDG_CONFIG_DIRS", "nothing")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    (tmp_path / "uv").mkdir()
    return tmp_path


def for_pip() -> dict[str, str]:
    environ = registry.for_pip(sys.executable)
    return {name: value for name, value in environ.items() if name.startswith("PIP_")}


def for_uv() -> tuple[dict[str, str], dict[str, Any]]:
    """The variables of uv's, and the settings in the file that one of them names."""
    with registry.for_uv(sys.executable) as environ:
        return environ, tomllib.loads(Path(environ["UV_CONFIG_FILE"]).read_text("utf-8"))


def test_pip_keeps_its_index_and_loses_what_would_break_an_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "pip.conf").write_text(PIP_CONF)
    monkeypatch.setenv("PIP_PREFIX", "/nowhere")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    settings = for_pip()
    assert (settings["PIP_INDEX_URL"], settings["PIP_CERT"]) == (INDEX, "/etc/own.pem")
    assert (settings["PIP_FIND_LINKS"], settings["PIP_CONFIG_FILE"]) == ("/wheels", os.devnull)
    assert not {"PIP_USER", "PIP_TARGET", "PIP_PREFIX"} & settings.keys()


def test_a_variable_wins_over_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "pip.conf").write_text(PIP_CONF)
    monkeypatch.setenv("PIP_INDEX_URL", "https://nearer.example")
    assert for_pip()["PIP_INDEX_URL"] == "https://nearer.example"


def test_uv_without_an_index_gets_that_of_pip(home: Path) -> None:
    (home / "pip.conf").write_text(PIP_CONF)
    environ, settings = for_uv()
    assert (environ["UV_DEFAULT_INDEX"], environ["SSL_CERT_FILE"], settings) == (INDEX, "/etc/own.pem", {})


def test_uv_keeps_its_own_index_and_loses_everything_else(home: Path) -> None:
    (home / "pip.conf").write_text(PIP_CONF)
    (home / "uv/uv.toml").write_text(UV_TOML)
    environ, settings = for_uv()
    assert settings == {"index": [{"name": "mirror", "url": "https://a.example", "default": True}]}
    assert "UV_DEFAULT_INDEX" not in environ


def test_without_any_index_uv_looks_where_pip_looks(home: Path) -> None:
    (home / "pip.conf").write_text("[global]\nno-index = yes\nfind-links = /a\n  /b\n")
    assert for_uv()[1] == {"no-index": True, "find-links": ["/a", "/b"]}


def test_uv_itself_accepts_the_file_that_it_gets(home: Path) -> None:
    (home / "uv/uv.toml").write_text(UV_TOML)
    command = [sys.executable, "-m", "set_up.registry", "pip", "list", "--quiet", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_home_that_cannot_be_written_is_no_hindrance(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "UV_NO_CACHE" not in for_uv()[0]
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert for_uv()[0]["UV_NO_CACHE"] == "1"

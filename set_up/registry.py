"""Where the packages come from: the one thing that pip's and uv's settings, wherever they are, decide.

All others (``user``, ``constraint``, ``target``, ``exclude-newer`` and so on) would change or break what is installed.
``python -m set_up.registry ARGUMENTS`` runs uv with that.
"""

import ast
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from set_up.steps import SetUpError

PIP = (
    "index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert", "client-cert", "proxy", "timeout",
    "default-timeout", "retries", "cache-dir", "keyring-provider",
)  # fmt: skip
UV = (
    "index", "index-url", "extra-index-url", "no-index", "find-links", "index-strategy", "allow-insecure-host",
    "native-tls", "system-certs", "cache-dir", "keyring-provider",
)  # fmt: skip
UV_INDEX = {"index", "index-url", "no-index"}
UV_INDEX_VARIABLES = {"UV_INDEX", "UV_INDEX_URL", "UV_DEFAULT_INDEX"}
PIP_FOR_UV = {"cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY", "trusted-host": "UV_INSECURE_HOST"}
SWITCHES_OF_LIST = dict.fromkeys(("PIP_QUIET", "PIP_USER", "PIP_GLOBAL", "PIP_SITE"), "0")
"""``user = yes`` in a file, meant for installs, would make ``pip config list`` show one file alone."""
SECTIONS = ("global", "install", ":env:")
"""Of pip's settings, the later one wins, as in pip."""


def for_pip(python: str) -> dict[str, str]:
    """The environment for pip: without settings from files, and with only those that say where the registry is."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    settings = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in _pip_settings(python).items()}
    return environ | settings | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@contextlib.contextmanager
def for_uv(python: str) -> Iterator[dict[str, str]]:
    """The environment for uv, while it runs. Where uv has no index of its own, it gets pip's."""
    settings, pip = _uv_settings(), _pip_settings(python)
    environ = dict(os.environ)
    for key, name in PIP_FOR_UV.items():
        if key in pip:
            environ.setdefault(name, pip[key])
    if not UV_INDEX & settings.keys() and not UV_INDEX_VARIABLES & environ.keys():
        if "index-url" in pip:
            environ["UV_DEFAULT_INDEX"] = pip["index-url"]
        if "no-index" in pip:
            settings |= {"no-index": True, "find-links": pip.get("find-links", "").split()}
    if "UV_CACHE_DIR" not in environ and "cache-dir" not in settings and not _has_cache():
        environ["UV_NO_CACHE"] = "1"  # the home folder cannot be written
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.writelines(f"{key} = {_toml(value)}\n" for key, value in settings.items())
        file.flush()
        yield environ | {"UV_CONFIG_FILE": file.name}


def _pip_settings(python: str) -> dict[str, str]:
    """What pip would read from its files and from the environment, of ``PIP`` alone."""
    listed = subprocess.run(  # noqa: S603 (our own pip)
        [python, "-m", "pip", "config", "list"],
        env=os.environ | SWITCHES_OF_LIST,
        stdout=subprocess.PIPE,
        check=False,
    )
    if listed.returncode:
        raise SetUpError("pip cannot read its settings")
    found = re.findall(r"^([\w:]+)\.([\w-]+)=(.*)$", listed.stdout.decode("utf-8", "replace"), re.MULTILINE)
    known = [(section, key, value) for section, key, value in found if section in SECTIONS and key in PIP]
    known.sort(key=lambda setting: SECTIONS.index(setting[0]))
    return {key: ast.literal_eval(value) for _, key, value in known}


def _uv_settings() -> dict[str, Any]:
    """What uv would read from its files, of ``UV`` alone; ``[pip]`` wins, as in uv."""
    settings: dict[str, Any] = {}
    for file in _uv_files():
        if file.is_file():
            try:
                read = tomllib.loads(file.read_text("utf-8"))
            except ValueError as error:
                raise SetUpError(f"{file}: {error}") from None
            settings |= {
                key: value for table in (read, read.get("pip", {})) for key, value in table.items() if key in UV
            }
    return settings


def _uv_files() -> Iterator[Path]:
    if named := os.environ.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    for folder in reversed(os.environ.get("XDG_CONFIG_DIRS", "/etc:/etc/xdg").split(":")):
        yield Path(folder) / "uv/uv.toml"
    yield _own("XDG_CONFIG_HOME", ".config") / "uv/uv.toml"


def _has_cache() -> bool:
    folder = _own("XDG_CACHE_HOME", ".cache") / "uv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _own(variable: str, name: str) -> Path:
    """A folder of the user's; one that cannot exist, where the user has no home."""
    home = os.path.expanduser("~")  # noqa: PTH111 (Path's raises for a user without a name)
    return Path(os.environ.get(variable) or Path("/dev/null" if home == "~" else home) / name)


def _toml(value: Any) -> str:
    """JSON of strings, numbers, booleans and lists of them is TOML too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    with for_uv(sys.executable) as environ:
        sys.exit(subprocess.run([sys.executable, "-m", "uv", *sys.argv[1:]], env=environ, check=False).returncode)  # noqa: S603 (our own uv)

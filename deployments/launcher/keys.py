"""Whether the service that is to start will have API keys; one that could not get its keys does not start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.keys import KeysError
from deployments.config.api_keys import SETTING, read_keys
from deployments.launcher.shape import settings_of_applications


def resolve(config: dict[str, Any], override: str | None, environ: Mapping[str, str]) -> bool:
    """Whether the service of this ``serve_config.yaml`` will have keys; the file's path in it becomes absolute.

    Serve reads the file in another process, perhaps in another folder. Raises ``KeysError`` as ``read_keys`` does, and
    ``LaunchError`` if the settings are not a mapping.
    """
    found = False
    for settings in settings_of_applications(config):
        path = settings.get(SETTING) if override is None else override
        if path == "":
            raise KeysError(f"{SETTING} is empty: for no keys set it to null, or leave it out")
        if path is not None:
            path = settings[SETTING] = str(Path(str(path)).absolute())
        found = read_keys(path, environ) is not None or found
    return found

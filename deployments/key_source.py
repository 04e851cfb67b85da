"""Where the API keys come from: a file that the settings name, or the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.keys import ApiKeys, KeysError, parse_keys
from deployments.shape import settings_of_applications

VARIABLE = "FIBONACCI_API_KEYS"
SETTING = "api_keys_file"


def read_keys(path: str | None, environ: Mapping[str, str]) -> ApiKeys | None:
    """The keys in the file, or in the variable (there a comma ends a line too); None if neither is given.

    Raises ``KeysError`` if one is given and unusable, or both are: a service that was to have keys does not start
    without.
    """
    lines = environ.get(VARIABLE)
    if path is None:
        return None if lines is None else parse_keys(lines.replace(",", "\n"), VARIABLE)
    if lines is not None:
        raise KeysError(f"API keys twice: in {SETTING} and in {VARIABLE}")
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise KeysError(f"cannot read {SETTING} {path}: {error.strerror}") from None
    except ValueError:
        raise KeysError(f"cannot read {SETTING} {path}: no text") from None
    return parse_keys(text, path)


def resolve(config: dict[str, Any], override: str | None, environ: Mapping[str, str]) -> bool:
    """Whether the service of this ``serve_config.yaml`` will have keys; the file's path in it becomes absolute.

    Serve reads the file in another process, perhaps in another folder. Raises ``KeysError`` as ``read_keys`` does, and
    ``LaunchError`` if the settings are no mapping.
    """
    found = False
    for settings in settings_of_applications(config):
        path = settings.get(SETTING) if override is None else override
        if path == "":
            raise KeysError(f"{SETTING} is empty: null, or no {SETTING}, for no keys")
        if path is not None:
            path = settings[SETTING] = str(Path(str(path)).absolute())
        found = read_keys(path, environ) is not None or found
    return found

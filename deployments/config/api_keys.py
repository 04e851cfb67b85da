"""Where the API keys come from: a file that the settings name, or the environment."""

from collections.abc import Mapping
from pathlib import Path

from app.keys import ApiKeys, KeysError, parse_keys

VARIABLE = "FIBONACCI_API_KEYS"
SETTING = "api_keys_file"


def read_keys(path: str | None, environ: Mapping[str, str]) -> ApiKeys | None:
    """The keys in the file, or in the variable (there a comma ends a line too); None if neither is given.

    Raises ``KeysError`` if one is given and unusable, or both are given: a service that was to have keys does not start
    without them.
    """
    lines = environ.get(VARIABLE)
    if path is None:
        return None if lines is None else parse_keys(lines.replace(",", "\n"), VARIABLE)
    if lines is not None:
        raise KeysError(f"API keys are given twice: in {SETTING} and in {VARIABLE}")
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise KeysError(f"cannot read {SETTING} {path}: {error.strerror}") from None
    except ValueError:
        raise KeysError(f"cannot read {SETTING} {path}: not text") from None
    return parse_keys(text, path)

"""Where a service's durable jobs are: a folder that outlives its runs, and that only its user can enter (0700).

An application of ours that names a folder or a database of its own keeps it; the others get this one.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deployments.launcher.shape import IMPORT_PATH, settings_of_applications

VARIABLE = "FIBONACCI_STATE"
FOLDER = "jobs_folder"
DATABASE = "jobs_database"
KEEPER = "FibonacciKeeper"
"""The deployment that there is only where durable jobs are."""


def resolve(config: dict[str, Any], override: str | None, environ: Mapping[str, str]) -> str:
    """Give each application of ours a folder for its durable jobs, if it has none; the paths become absolute.

    Serve uses them in another process, perhaps in another folder. If there can be none, returns why, in one line: the
    service does without durable jobs then. Raises ``LaunchError`` if the settings are not a mapping.
    """
    without = []
    for application, settings in zip(config.get("applications") or [], settings_of_applications(config), strict=True):
        if application.get("import_path") == IMPORT_PATH:
            if settings.get(FOLDER):
                settings[FOLDER] = str(Path(str(settings[FOLDER])).absolute())
            elif settings.get(FOLDER) is None and settings.get(DATABASE) is None:
                without.append((application, settings))
    if not without:
        return ""
    place = override or _default(environ)
    problem = _made(Path(place)) if place else f"there is no home folder; {VARIABLE} or --state can name another"
    for application, settings in without:
        # Of several applications each has a folder of its own: one keeper has a file for itself.
        own = Path(place, quote(str(application.get("name")), safe="") if len(without) > 1 else "").absolute()
        problem = problem or _made(own)
        if not problem:
            settings[FOLDER] = str(own)
    if problem:
        for application, settings in without:
            settings.pop(FOLDER, None)
            _forget_keeper(application)
    return problem


def _default(environ: Mapping[str, str]) -> str:
    """As the XDG Base Directory Specification says: a folder that is not absolute does not count. None is empty."""
    if given := environ.get(VARIABLE):
        return given
    base, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if os.path.isabs(base):  # noqa: PTH117 (a text, which may be empty)
        return str(Path(base, "fibonacci"))
    if home and os.access(home, os.R_OK | os.X_OK):
        return str(Path(home, ".local/state/fibonacci"))
    return ""


def _made(folder: Path) -> str:
    """Make it, if it is not there. Why it cannot be used, or nothing.

    The permissions of one that is there are somebody's decision, and stay.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder.absolute()}: {error.strerror}"


def _forget_keeper(application: dict[str, Any]) -> None:
    """Serve refuses an entry of a deployment that is not there."""
    entries = application.get("deployments")
    if isinstance(entries, list):
        entries[:] = [each for each in entries if not isinstance(each, dict) or each.get("name") != KEEPER]

"""The mappings in ``serve_config.yaml``, which people write: an error names what is not one."""

from typing import Any

from deployments.launcher.console import LaunchError

IMPORT_PATH = "deployments.application:build"
"""What marks an application of ``serve_config.yaml`` as one of ours."""


def mapping(parent: dict[str, Any], *keys: str, within: str = "") -> dict[str, Any]:
    """The mapping under these keys; where there is none, or nothing after a key, an empty one is put there.

    ``within`` says where ``parent`` is. Raises ``LaunchError`` if something else is there.
    """
    found = parent
    for key in keys:
        within = f"{within}.{key}" if within else key
        if found.get(key) is None:
            found[key] = {}
        found = found[key]
        if not isinstance(found, dict):
            raise LaunchError(f"the configuration's {within} is not a mapping")
    return found


def settings_of_applications(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The ``args`` of every application. Raises ``LaunchError`` as ``mapping`` does."""
    applications = config.get("applications") or []
    if not isinstance(applications, list) or not all(isinstance(each, dict) for each in applications):
        raise LaunchError("the configuration's applications is not a list of mappings")
    return [mapping(each, "args", within=f"applications.{number}") for number, each in enumerate(applications)]

"""What the service of a ``serve_config.yaml`` will compute; one that could not compute it does not start."""

from typing import Any

from pydantic import ValidationError

from app.kernel import offers_of
from app.settings import Settings
from deployments.launcher.shape import IMPORT_PATH, settings_of_applications


def first_routes(config: dict[str, Any]) -> dict[str, str]:
    """The path of the first kernel of each of our applications, by the application's route prefix.

    Raises ``KernelError`` if a kernel cannot be used, and ``LaunchError`` if the settings have the wrong shape.
    Anything else that is wrong with settings is reported by Serve.
    """
    routes = {}
    for application, args in zip(config.get("applications") or [], settings_of_applications(config), strict=True):
        if application.get("import_path") == IMPORT_PATH:
            try:
                settings = Settings.model_validate(args)
            except ValidationError:
                continue
            prefix = (application.get("route_prefix") or "/").rstrip("/")
            routes[prefix] = f"{prefix}/{offers_of(settings)[0].kernel.name}"
    return routes

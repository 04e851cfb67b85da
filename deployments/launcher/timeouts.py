"""How long everything in front of a job must be patient: for its deadline, whatever ``max_timeout_seconds`` is.

Nothing here imports Ray.
"""

import math
from typing import Any

from pydantic import ValidationError

from app.settings import Settings
from deployments.launcher.console import LaunchError
from deployments.launcher.shape import IMPORT_PATH, mapping, settings_of_applications

SLACK_SECONDS = 10.0
"""For the answer itself, after the deadline."""
KEEP_ALIVE_SECONDS, HEAD_SECONDS = 15.0, 10.0
"""How long HAProxy keeps an idle connection, and how long a request's head may take: serve_config.yaml, after
RAY_SERVE_HAPROXY_RETRY_ON."""
SERVER_TIMEOUT = "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"
HARD_STOP = "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"
QUARANTINE = "RAY_SERVE_PORT_QUARANTINE_S"
GRACEFUL = "graceful_shutdown_timeout_s"
DEPLOYMENTS = ("FibonacciIngress", "FibonacciWorker")


def least(config: dict[str, Any]) -> dict[str, int]:
    """The least seconds of each, for the longest ``max_timeout_seconds`` of all applications.

    An ingress may be silent until a job's deadline. A HAProxy that was replaced takes one more request on each idle
    connection, perhaps to a port that an ingress left, so nobody else may have that port meanwhile. It, and an ingress
    or a worker that leaves, are needed until the deadline of that request. Settings that are not ours are left to those
    who read them.
    """
    found = [settings for args in settings_of_applications(config) if (settings := _settings(args)) is not None]
    deadline = max((each.max_timeout_seconds for each in found), default=0.0) + SLACK_SECONDS
    body = max((each.body_timeout_seconds for each in found), default=0.0)
    late = KEEP_ALIVE_SECONDS + HEAD_SECONDS + body
    longest = math.ceil(late + deadline)
    return {SERVER_TIMEOUT: math.ceil(deadline), HARD_STOP: longest, GRACEFUL: longest, QUARANTINE: math.ceil(late)}


def raise_to_fit(config: dict[str, Any]) -> None:
    """Raise what is less than that, or not given, in ``serve_config.yaml``'s content; it is changed in place.

    Raises ``LaunchError`` if something has the wrong shape, or is not a number.
    """
    seconds = least(config)
    env_vars = mapping(config, "controller_options", "runtime_env", "env_vars")
    for name in (SERVER_TIMEOUT, HARD_STOP, QUARANTINE):
        env_vars[name] = str(math.ceil(max(_number(env_vars, name), seconds[name])))
    for application in config.get("applications") or []:
        for deployment in _ours(application):
            deployment[GRACEFUL] = max(_number(deployment, GRACEFUL), seconds[GRACEFUL])


def _settings(args: dict[str, Any]) -> Settings | None:
    try:
        return Settings.model_validate(args)
    except ValidationError:
        return None


def _ours(application: dict[str, Any]) -> list[dict[str, Any]]:
    """The application's entries for our deployments; where an application of ours has none, they are added."""
    if application.get("deployments") is None:
        application["deployments"] = []
    entries = application["deployments"]
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise LaunchError("the configuration's deployments is not a list of mappings")
    if application.get("import_path") == IMPORT_PATH:
        named = [each.get("name") for each in entries]
        entries += [{"name": name} for name in DEPLOYMENTS if name not in named]
    return [each for each in entries if each.get("name") in DEPLOYMENTS]


def _number(parent: dict[str, Any], key: str) -> float:
    value = parent.get(key)
    try:
        return 0.0 if value is None else float(value)
    except (TypeError, ValueError):
        raise LaunchError(f"the configuration's {key} is not a number: {value!r}") from None

"""What of a person's environment reaches the service's processes."""

import os
from pathlib import Path

import pytest

from deployments.launcher.console import LaunchError
from deployments.launcher.environment import ALWAYS, for_the_service

ODD = {
    "HOST": "elsewhere", "PORT": "1", "CPUS": "64", "NAME": "wsl", "http_proxy": "http://127.0.0.1:9",
    "LC_ALL": "xx_XX",
    "LANG": "de_DE.ISO-8859-1", "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "elsewhere", "PIP_USER": "yes", "RAY_ADDRESS": "10.0.0.1:6379", "RAY_TMPDIR": "/nowhere",
    "RAY_SERVE_ENABLE_HA_PROXY": "0", "RAY_USAGE_STATS_ENABLED": "1", "LD_PRELOAD": "/nowhere.so", "MALLOC_CONF": "x",
    "OTEL_SDK_DISABLED": "true", "OTEL_PROPAGATORS": "unknown", "OTEL_METRICS_EXPORTER": "otlp",
}  # fmt: skip


def test_nothing_that_is_not_on_the_list_is_heard(tmp_path: Path) -> None:
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "USER": "alice", "FIBONACCI_API_KEYS": "alice:61ea"}
    assert for_the_service(clean | ODD, tmp_path) == for_the_service(clean, tmp_path)
    assert for_the_service(clean, tmp_path) == clean | ALWAYS | {"RAY_AUTH_MODE": "token"}


def test_what_says_where_traces_go_is_heard(tmp_path: Path) -> None:
    wanted = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://receiver:4318", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=secret",
        "OTEL_TRACES_SAMPLER": "always_off", "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_SERVICE_NAME": "mine",
        "OTEL_RESOURCE_ATTRIBUTES": "a=b",
    }  # fmt: skip
    assert wanted.items() <= for_the_service({"PATH": os.environ["PATH"]} | wanted, tmp_path).items()


def test_who_has_no_home_and_no_name_gets_some(tmp_path: Path) -> None:
    for home in ({}, {"HOME": ""}, {"HOME": "/nowhere"}):
        made = for_the_service({"PATH": os.environ["PATH"]} | home, tmp_path)
        assert (made["HOME"], made["LOGNAME"]) == (str(tmp_path), "fibonacci")


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_bash_is_looked_for_where_it_mostly_is(path: str, tmp_path: Path) -> None:
    assert for_the_service({"PATH": path}, tmp_path)["PATH"].endswith(os.defpath)


def test_without_bash_the_start_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "defpath", "/nowhere")
    with pytest.raises(LaunchError, match="bash is not on the PATH"):
        for_the_service({"PATH": "/nowhere"}, tmp_path)


@pytest.mark.parametrize(
    ("found", "used"), [(None, "token"), ("", "token"), ("Token", "Token"), ("disabled", "disabled")]
)
def test_rays_ports_want_its_token_unless_told_otherwise(found: str | None, used: str, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"]} | ({} if found is None else {"RAY_AUTH_MODE": found})
    assert for_the_service(environ, tmp_path)["RAY_AUTH_MODE"] == used


def test_a_misspelt_mode_does_not_open_rays_ports(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="RAY_AUTH_MODE is 'tokn': Ray knows token and disabled"):
        for_the_service({"RAY_AUTH_MODE": "tokn"}, tmp_path)

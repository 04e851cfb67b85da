"""What stands before a job waits for it as long as its deadline, whatever that is set to."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.launcher.console import LaunchError
from deployments.launcher.timeouts import (
    DEPLOYMENTS,
    GRACEFUL,
    HARD_STOP,
    HEAD_SECONDS,
    KEEP_ALIVE_SECONDS,
    QUARANTINE,
    SERVER_TIMEOUT,
    least,
    raise_to_fit,
)

ROOT = Path(__file__).parents[2]
OURS = "{name: a, import_path: 'deployments.application:build', args: {max_timeout_seconds: 900}}"


def raised(text: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(text)
    raise_to_fit(config)
    return config


def seconds(config: dict[str, Any]) -> dict[str, float]:
    env_vars = config["controller_options"]["runtime_env"]["env_vars"]
    found = {name: float(env_vars[name]) for name in (SERVER_TIMEOUT, HARD_STOP, QUARANTINE)}
    entries = [each for application in config["applications"] for each in application["deployments"]]
    return found | {each["name"]: each[GRACEFUL] for each in entries}


def test_the_shipped_file_fits_its_own_deadline_and_is_left_alone() -> None:
    text = (ROOT / "serve_config.yaml").read_text()
    assert seconds(raised(text)) == seconds(yaml.safe_load(text))
    assert f"timeout http-request {HEAD_SECONDS:.0f}s" in text
    assert f"timeout http-keep-alive {KEEP_ALIVE_SECONDS:.0f}s" in text


def test_all_follow_a_longer_deadline() -> None:
    found = seconds(raised(f"applications: [{OURS}]"))
    assert found[SERVER_TIMEOUT] == 910
    assert [found[name] for name in (HARD_STOP, *DEPLOYMENTS)] == [910 + 15 + 10 + 10] * 3


def test_a_port_stays_free_while_an_old_haproxy_may_send_requests_to_it() -> None:
    config = yaml.safe_load(f"applications: [{OURS.replace('900', '900, body_timeout_seconds: 100')}]")
    assert least(config)[QUARANTINE] == 15 + 10 + 100


def test_the_longest_deadline_of_all_applications_counts() -> None:
    other = "{name: b, import_path: 'other:app', args: {max_timeout_seconds: 2000}}"
    assert least(yaml.safe_load(f"applications: [{OURS}, {other}]"))[SERVER_TIMEOUT] == 2010


def test_larger_values_are_kept() -> None:
    config = yaml.safe_load(f"applications: [{OURS}]")
    config["applications"][0]["deployments"] = [{"name": "FibonacciIngress", GRACEFUL: 5000}]
    config["controller_options"] = {"runtime_env": {"env_vars": {HARD_STOP: "6000", SERVER_TIMEOUT: 7000}}}
    raise_to_fit(config)
    found = seconds(config)
    assert (found[HARD_STOP], found[SERVER_TIMEOUT], found["FibonacciIngress"]) == (6000, 7000, 5000)


def test_another_application_is_given_no_deployments_of_ours() -> None:
    other = "{name: b, import_path: 'other:app', args: {colour: red}, deployments: [{name: Hello}]}"
    config = raised(f"applications: [{other}]")
    assert config["applications"][0]["deployments"] == [{"name": "Hello"}]


def test_settings_that_are_none_are_left_to_who_reads_them() -> None:
    wrong = OURS.replace("900", "never")
    assert least(yaml.safe_load(f"applications: [{wrong}]"))[SERVER_TIMEOUT] == 10


@pytest.mark.parametrize(
    "text",
    [
        f"controller_options: {{runtime_env: {{env_vars: {{{HARD_STOP}: soon}}}}}}",
        f"applications: [{{deployments: [{{name: FibonacciWorker, {GRACEFUL}: long}}]}}]",
        "applications: [{deployments: 5}]",
    ],
)
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(LaunchError, match=r"is not a (number|list of mappings)"):
        raised(text)

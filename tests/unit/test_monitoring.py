"""The dashboard and the alert rules: their shape, what Prometheus's own tool says, and what the page says of them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.observe.metrics import METRICS
from tests.places.needs import needs_tool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments/monitoring"
OPERATE = (ROOT / "docs/operate.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]


def promtool(*arguments: str) -> str:
    tool = needs_tool("promtool")
    done = subprocess.run([tool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_as_prometheus_wants_them() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", "--lint-fatal", "alerts.yaml")


def test_each_alert_fires_when_it_should_and_not_beside() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yaml")
    tested = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    fired = {each["alertname"] for test in tested for each in test["alert_rule_test"] if "exp_alerts" in each}
    silent = {each["alertname"] for test in tested for each in test["alert_rule_test"] if "exp_alerts" not in each}
    assert fired == silent == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("number", [0, 1])
def test_the_scrape_configurations_are_as_prometheus_wants_them(number: int, tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text((FOLDER / "alerts.yaml").read_text())
    config = tmp_path / "prometheus.yml"
    config.write_text(re.findall(r"```yaml\n(global: .*?)```", OPERATE, re.DOTALL)[number])
    promtool("check", "config", str(config))
    names = {each["job_name"] for each in yaml.safe_load(config.read_text())["scrape_configs"]}
    assert names <= {"fibonacci", "fibonacci-haproxy"}


def test_the_page_says_of_each_alert_what_to_do() -> None:
    section = OPERATE.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^- \*\*(\w+)\*\*: ", section, re.MULTILINE)) == sorted(rule["alert"] for rule in RULES)


def test_each_rule_says_how_bad_it_is_and_what_has_happened() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_no_expression_names_a_metric_that_there_is_not() -> None:
    known = {metric.shown for metric in METRICS} | {f"{metric.shown}_bucket" for metric in METRICS}
    named = {name for expression in EXPRESSIONS for name in re.findall(r"ray_fibonacci_\w+", expression)}
    assert named <= known
    assert {metric.shown for metric in METRICS} - {name.removesuffix("_bucket") for name in named} == set()


def test_the_dashboard_can_be_imported_as_it_is() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["uid"] == "fibonacci-service"
    assert not {"__inputs", "__requires", "id"} & set(DASHBOARD)
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["title"]
        assert panel["description"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells

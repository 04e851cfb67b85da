"""The comparison, by keyboard alone: both runs, stopping it, and what it says when it is refused."""

import json
import time

import httpx
import pytest

from harness.processes import wait_until
from harness.service import Service
from tests.page.conftest import OpenPage
from tests.page.visits import Visit

JOB = (("sequence_size", 100_000), ("num_sequences", 64))
LONG = (("sequence_size", 3_000_000), ("num_sequences", 2))


def fill_by_keyboard(opened: Visit, *values: tuple[str, int]) -> None:
    """C leads to the first field, Tab to the next."""
    opened.page.locator("#compare-run:enabled").wait_for()
    opened.page.keyboard.press("c")
    for name, value in values:
        assert opened.page.evaluate("document.activeElement.name") == name
        opened.page.keyboard.press("Control+a")
        opened.page.keyboard.type(str(value))
        opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Shift+Tab")


def compared(opened: Visit) -> list[list[str]]:
    """Of the table behind the result: run, worker, batches, work, computing, share."""
    return opened.rows("#compare-runs")


def test_both_runs_are_made_and_drawn_by_keyboard_alone(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url)
    fill_by_keyboard(opened, *JOB)
    opened.page.keyboard.press("Enter")
    opened.page.locator("#compare-stop").wait_for()
    opened.page.locator("#compare-result").wait_for(timeout=60_000)
    speedup, efficiency = float(opened.text("#compare-speedup")), float(opened.text("#compare-efficiency"))
    assert 1 < speedup < 2.5
    assert efficiency == pytest.approx(speedup / 2, abs=0.01)
    assert "on 2 workers" in opened.text("#compare-result")
    rows = compared(opened)
    assert [row[0] for row in rows] == ["on one worker", "on all", "on all"]
    assert len({row[1] for row in rows[1:]}) == 2, "both workers computed"
    assert sum(int(row[3].split()[0].replace(",", "")) for row in rows[1:]) == 6_400_000
    assert opened.link == "#compare=fibonacci:100000x64"
    opened.page.locator("#compare-title").click()
    opened.page.keyboard.press("t")
    wait_until(lambda: len({row[0] for row in opened.batches()}) == 2, 10, "both workers' bars are in the table")
    opened.page.keyboard.press("t")
    time.sleep(1)
    assert opened.violations() == []
    opened.shot("compared")


def test_a_link_fills_the_form_and_runs_nothing(service: Service, visit: OpenPage) -> None:
    opened = visit(f"{service.url}/#compare=2000x3")
    opened.page.locator("#compare-run:enabled").wait_for()
    values = [opened.page.locator(f"#field-{name}").input_value() for name in ("sequence_size", "num_sequences")]
    assert values == ["2000", "3"]
    assert not [path for path in opened.requests if path.endswith("/compare")]


def test_stop_ends_the_computing(service: Service, visit: OpenPage) -> None:
    def unfinished() -> int:
        return int(httpx.get(f"{service.url}/pool").json()["unfinished_jobs"])

    opened = visit(service.url)
    fill_by_keyboard(opened, *LONG)
    opened.page.keyboard.press("Enter")
    wait_until(lambda: unfinished() > 0, 10, "it runs")
    opened.page.locator("#compare-stop").press("Enter")
    assert opened.text("#compare-problem").startswith("Stopped")
    wait_until(lambda: unfinished() == 0, 10, "the service has stopped")
    wait_until(lambda: any(row[2].startswith("cancelled") for row in opened.jobs()), 10, "its job is told as cancelled")


def test_a_refusal_is_told_as_its_sentence(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url, allowed=("Failed to load resource: the server responded with a status of 422",))
    fill_by_keyboard(opened, ("sequence_size", 10_000_000), ("num_sequences", 10_000))
    opened.page.keyboard.press("Enter")
    opened.page.locator("#compare-problem").wait_for()
    assert "core-seconds; the limit is 600." in opened.text("#compare-problem")
    opened.page.locator("#field-sequence_size").fill("-1")
    opened.page.keyboard.press("Enter")
    opened.page.locator("#field-sequence_size-error").wait_for()
    assert opened.page.locator("#field-sequence_size").get_attribute("aria-invalid") == "true"
    opened.shot("refused")


def test_one_who_must_wait_sees_for_how_long(service: Service, visit: OpenPage) -> None:
    """The answer is made up: a full queue would hold up the tests that follow."""
    problem = {"title": "Queue full", "status": 429, "detail": "The work ahead of this job would take 73.2 s."}
    opened = visit(service.url, allowed=("Failed to load resource: the server responded with a status of 429",))
    opened.page.route(
        "**/fibonacci/compare",
        lambda route: route.fulfill(status=429, headers={"Retry-After": "3"}, body=json.dumps(problem)),
    )
    opened.page.locator("#compare-run").click()
    opened.page.locator("#compare-problem").wait_for()
    assert opened.text("#compare-problem") == "Queue full. The work ahead of this job would take 73.2 s."
    assert opened.text("#compare-progress").startswith("Try again in ")
    wait_until(lambda: opened.text("#compare-progress") == "It may be tried again now.", 6, "the time has passed")

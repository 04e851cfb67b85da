"""With API keys: the page asks for one, keeps it in its tab, and shows of others' jobs only when a worker was busy."""

from collections.abc import Iterator

import pytest

from harness.processes import wait_until
from harness.service import Service, launched
from tests.page.conftest import OpenPage
from tests.page.visits import Visit, busy
from tests.serve.callers import make_key

ALICE, ALICES_LINE = make_key("alice")
BOB, BOBS_LINE = make_key("bob")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"{ALICES_LINE}\n{BOBS_LINE}\n")
    with launched("--cpus", "2", "--api-keys-file", str(path)) as started:
        yield started


def log_in(opened: Visit, key: str) -> None:
    opened.page.locator("#key-field").fill(key)
    opened.page.keyboard.press("Enter")


def ids_of_jobs(opened: Visit) -> set[str]:
    return {row[0] for row in opened.jobs()}


def has_others_only(opened: Visit, ids: set[str]) -> bool:
    """Whether jobs are listed, in one picture, and none of these."""
    listed = ids_of_jobs(opened)
    return bool(listed) and listed.isdisjoint(ids)


def test_the_page_asks_for_a_key_before_anything_is_refused(guarded: Service, visit: OpenPage) -> None:
    opened = visit(guarded.url, live=False)
    opened.page.locator("#key-dialog").wait_for()
    assert "API key" in opened.text("#key-why")
    assert not [path for path in opened.requests if "/timeline/" in path]
    assert opened.violations() == []
    opened.shot("key-asked", whole=False)
    log_in(opened, ALICE)
    opened.until("live")
    assert ALICE not in opened.page.url
    assert not [path for path in opened.requests if ALICE in path]
    assert opened.page.evaluate("Object.values(localStorage)") == []
    opened.page.reload()
    opened.until("live")
    assert not opened.page.locator("#key-dialog").is_visible(), "the tab has kept it"


def test_a_wrong_key_is_told_as_such_and_asked_for_again(guarded: Service, visit: OpenPage) -> None:
    refused = ("Failed to load resource: the server responded with a status of 401",)
    opened = visit(guarded.url, live=False, allowed=refused)
    log_in(opened, "fib_wrong")
    wait_until(lambda: "not valid" in opened.text("#key-why"), 10, "it says what is wrong")
    log_in(opened, BOB)
    opened.until("live")


def test_who_gives_no_key_is_told_why_nothing_comes(guarded: Service, visit: OpenPage) -> None:
    refused = ("Failed to load resource: the server responded with a status of 401",)
    opened = visit(guarded.url, live=False, allowed=refused)
    opened.page.locator("#key-cancel").click()
    opened.page.locator("#key-dialog[open]").wait_for()
    opened.page.locator("#key-cancel").click()
    opened.until("stopped")
    assert "API key is needed" in opened.text("#notice")
    opened.page.locator("#connect").click()
    opened.page.locator("#key-dialog[open]").wait_for()
    log_in(opened, ALICE)
    opened.until("live")


def test_others_jobs_are_grey_bars_and_nothing_else(guarded: Service, visit: OpenPage) -> None:
    opened = visit(guarded.url, live=False)
    log_in(opened, ALICE)
    opened.until("live")
    opened.page.keyboard.press("t")
    with busy(guarded.url, BOB, callers=2):
        wait_until(lambda: len(opened.batches()) > 3, 20, "bob's batches are seen")
        assert {(row[1], row[2], row[6]) for row in opened.batches()} == {("somebody else's", "", "")}
        assert opened.jobs() == []
        with busy(guarded.url, ALICE, callers=2):
            wait_until(lambda: any(row[2] == "fibonacci" for row in opened.batches()), 20, "alice's are seen too")
            wait_until(lambda: len(opened.jobs()) > 0, 10, "her jobs are listed")
            opened.page.keyboard.press("t")
            opened.page.wait_for_timeout(6_000)
            opened.shot("keys")
    assert BOB not in opened.page.content()
    assert "bob" not in opened.page.content()


def test_another_key_shows_another_callers_jobs(guarded: Service, visit: OpenPage) -> None:
    opened = visit(guarded.url, live=False)
    log_in(opened, ALICE)
    opened.until("live")
    with busy(guarded.url, ALICE, callers=1):
        wait_until(lambda: opened.jobs() != [], 20, "alice's jobs are listed")
    hers = ids_of_jobs(opened)
    opened.page.locator("#key").click()
    log_in(opened, BOB)
    opened.until("live")
    with busy(guarded.url, BOB, callers=1):
        wait_until(lambda: has_others_only(opened, hers), 20, "bob's jobs are listed, and hers are gone")
    opened.page.locator("#key").click()
    opened.page.locator("#key-forget").click()
    opened.page.locator("#key").wait_for(state="hidden")
    opened.until("stopped")
    wait_until(lambda: opened.jobs() == [], 5, "nothing is listed any more")
    assert opened.page.evaluate("Object.values(sessionStorage)") == []


def test_compare_sends_the_key_and_its_command_does_not_have_it(guarded: Service, visit: OpenPage) -> None:
    opened = visit(guarded.url, live=False)
    log_in(opened, ALICE)
    opened.until("live")
    opened.page.locator("#compare-run").click()
    opened.page.locator("#compare-result").wait_for(timeout=60_000)
    opened.page.locator("#compare-distributed-job").click()
    opened.page.locator("#job-title").wait_for()
    assert ALICE not in opened.page.content()

"""What is seen of a service that does nothing, of one that does much, and of one that refuses; by whom ever."""

import time
from collections.abc import Iterator

import httpx
import pytest

from harness.processes import wait_until
from harness.service import Service, launched
from tests.page.conftest import DESK, PHONE, OpenPage
from tests.page.visits import TIMES, Visit, busy

COUNT_DRAWS = """
window.draws = 0;
const clear = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  if (this.canvas.id === "timeline-canvas") window.draws += 1;
  return clear.apply(this, box);
};
"""
FOCUSABLE = """
() => [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
  .filter((element) => element.checkVisibility() && !element.disabled).length
"""
FOCUSED = """
() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  return [element.id || element.textContent, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}
"""


@pytest.fixture(scope="module")
def fresh() -> Iterator[Service]:
    """A service that nobody has asked for anything yet."""
    with launched("--cpus", "2") as started:
        yield started


def refuse(visit: Visit) -> None:
    """Ask for more than there may be, so that the form says why not."""
    visit.page.locator("#field-sequence_size").fill("10000000")
    visit.page.locator("#field-num_sequences").fill("10000")
    visit.page.locator("#compare-run").click()
    visit.page.locator("#compare-problem").wait_for()


def test_an_idle_service_has_a_row_for_each_worker_and_says_that_nothing_was_posted(
    fresh: Service, visit: OpenPage
) -> None:
    """The first test here: the service is new."""
    opened = visit(fresh.url)
    wait_until(lambda: opened.text("#pool") == "2 workers, 1 ingress", 10, "it says how large the service is")
    assert opened.text("#busy") == "0 of 2"
    assert opened.text("#jobs-empty") == "No job has been posted yet."
    assert opened.painted() < 1_000
    opened.page.keyboard.press("t")
    assert opened.batches() == []
    assert opened.page.title() == "Fibonacci service"
    opened.page.keyboard.press("t")
    opened.shot("empty")


@pytest.mark.parametrize("look", ["light-desk", "light-phone", "dark-desk", "dark-phone"])
@pytest.mark.parametrize("state", ["empty", "busy", "refused"])
def test_axe_finds_nothing(fresh: Service, service: Service, visit: OpenPage, state: str, look: str) -> None:
    idle = state == "empty"
    scheme, _, place = look.partition("-")
    size = DESK if place == "desk" else PHONE
    allowed = ("Failed to load resource: the server responded with a status of 422",)
    opened = visit((fresh if idle else service).url, size=size, color_scheme=scheme, allowed=allowed)
    if idle:
        assert opened.violations() == []
    elif state == "refused":
        refuse(opened)
        assert opened.violations() == []
    else:
        with busy(service.url):
            opened.page.keyboard.press("t")
            wait_until(lambda: len(opened.batches()) > 3, 20, "its batches are seen")
            assert opened.violations() == []
    assert opened.overflow() == 0
    opened.shot(f"axe-{state}-{look}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_dialogs(service: Service, visit: OpenPage, scheme: str) -> None:
    answer = httpx.post(f"{service.url}/fibonacci", json={"sequence_size": 200_000, "num_sequences": 4}, timeout=60)
    opened = visit(f"{service.url}/#job={answer.json()['job_id']}", color_scheme=scheme)
    opened.page.locator("#job-curl").wait_for()
    assert opened.violations() == []
    opened.shot(f"job-{scheme}", whole=False)
    opened.page.keyboard.press("Escape")
    opened.page.keyboard.press("?")
    assert opened.violations() == []
    opened.shot(f"help-{scheme}", whole=False)


def test_a_busy_service_is_seen_at_work(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url)
    with busy(service.url):
        wait_until(lambda: float(opened.text("#busy").split()[0]) > 1.5, 20, "both workers are busy")
        wait_until(lambda: opened.painted() > 10_000, 20, "bars are painted")
        opened.page.keyboard.press("t")
        wait_until(lambda: len({row[0] for row in opened.batches()}) == 2, 10, "both workers' batches are there")
        wait_until(lambda: opened.text("#units").endswith("M /s"), 10, "it says how fast they are")
        states = {row[2].split()[0] for row in opened.jobs()}
        assert "done" in states
        opened.page.keyboard.press("t")
        time.sleep(15)  # the picture fills
        opened.shot("busy")
    assert opened.jobs()[0][1] == f"fibonacci 8 {TIMES} 100,000 terms"


@pytest.mark.parametrize("size", [PHONE, (390, 844), (1280, 900), (3840, 2160)], ids=str)
def test_no_page_is_scrolled_sideways(service: Service, visit: OpenPage, size: tuple[int, int]) -> None:
    touch = size[0] < 500
    opened = visit(service.url, size=size, has_touch=touch, device_scale_factor=2 if touch else 1)
    with busy(service.url):
        wait_until(lambda: opened.painted() > 500, 20, "bars are painted")
        time.sleep(6)
        assert opened.overflow() == 0
        opened.shot(f"wide-{size[0]}")
        opened.page.locator("#tables").click()
        assert opened.overflow() == 0


def test_dark_is_dark_by_the_systems_wish_or_by_the_readers(service: Service, visit: OpenPage) -> None:
    def background(opened: Visit) -> str:
        return str(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = visit(service.url), visit(service.url, color_scheme="dark")
    assert background(light) == "rgb(244, 246, 248)"
    assert background(dark) == "rgb(15, 18, 22)"
    for _ in range(2):  # auto, light, dark
        light.page.locator("#theme").click()
    assert background(light) == "rgb(15, 18, 22)"
    light.page.reload()
    light.until("live")
    assert background(light) == "rgb(15, 18, 22)"
    with busy(service.url):
        wait_until(lambda: dark.painted() > 5_000, 20, "bars are painted")
        time.sleep(10)
        dark.shot("dark")


def test_it_is_drawn_thirty_times_a_second_at_most_and_not_without_reason(fresh: Service, visit: OpenPage) -> None:
    opened = visit(fresh.url, before=COUNT_DRAWS)

    def draws(seconds: float) -> int:
        before = opened.page.evaluate("window.draws")
        time.sleep(seconds)
        return int(opened.page.evaluate("window.draws")) - int(before)

    time.sleep(2)
    assert draws(6) <= 8  # one for each frame of the service's: it sends one each two seconds
    with busy(fresh.url):
        wait_until(lambda: opened.painted() > 500, 20, "bars are painted")
        assert 4 <= draws(4) <= 4 * 31


def test_those_who_want_less_motion_see_a_step_a_second(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url, before=COUNT_DRAWS, reduced_motion="reduce")
    with busy(service.url):
        wait_until(lambda: opened.painted() > 500, 20, "bars are painted")
        before = opened.page.evaluate("window.draws")
        time.sleep(5)
        assert 3 <= opened.page.evaluate("window.draws") - before <= 7


def test_all_of_it_is_reached_by_tab_alone_and_shows_where_one_is(fresh: Service, visit: OpenPage) -> None:
    opened = visit(fresh.url)
    wait_until(lambda: opened.page.locator("#compare-run").is_enabled(), 10, "the form is there")
    reached = []
    for _ in range(100):
        opened.page.keyboard.press("Tab")
        focused = opened.page.evaluate(FOCUSED)
        if focused is None or focused in reached:
            break
        reached.append(focused)
    assert [name for name, outlined in reached if not outlined] == []
    assert len(reached) == opened.page.evaluate(FOCUSABLE)
    names = [name for name, _ in reached]
    assert (
        names.index("pause") < names.index("timeline-scroller") < names.index("compare-run") < names.index("jobs-state")
    )


def test_the_timeline_obeys_its_keys(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url)
    with busy(service.url):
        wait_until(lambda: opened.painted() > 5_000, 20, "bars are painted")
        page = opened.page
        page.locator("#timeline-scroller").focus()
        page.keyboard.press("+")
        wait_until(lambda: opened.text("#timeline-span").startswith("20 s"), 5, "it is zoomed in")
        page.keyboard.press("ArrowLeft")
        page.locator("#follow").wait_for()
        assert "until now" not in opened.text("#timeline-span")
        page.keyboard.press("f")
        page.locator("#follow").wait_for(state="hidden")
        page.keyboard.press("Space")
        opened.until("paused")
        page.keyboard.press("ArrowDown")
        wait_until(lambda: opened.text("#batch-details").startswith("worker "), 5, "a batch is chosen")
        first = opened.text("#batch-details")
        page.keyboard.press("Shift+ArrowLeft")
        wait_until(lambda: opened.text("#batch-details") != first, 5, "another batch is chosen")
        page.keyboard.press("Enter")
        page.locator("#job-dialog").wait_for()
        assert opened.text("#job-title").split()[1] in opened.text("#job-id")
        page.keyboard.press("Escape")
        page.locator("#job-dialog").wait_for(state="hidden")
        wait_until(lambda: not opened.link, 5, "the address names no job any more")
        page.keyboard.press("Space")
        opened.until("live")


def test_single_keys_can_be_switched_off(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url)
    opened.page.keyboard.press("?")
    opened.page.locator("#single-keys").uncheck()
    opened.page.keyboard.press("Escape")
    opened.page.keyboard.press("t")
    assert not opened.page.locator("#timeline-table").is_visible()
    opened.page.locator("#tables").click()
    assert opened.page.locator("#timeline-table").is_visible()

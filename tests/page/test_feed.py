"""The stream behind the page: it ends each half minute, and nothing is missed; it has its limits, and rests unseen."""

import time
from contextlib import ExitStack

import httpx

from harness.processes import wait_until
from harness.service import Service
from tests.page.conftest import OpenPage
from tests.page.visits import Visit, busy

MAX_STREAMS = 16
RECORD_STATES = """
window.states = [];
addEventListener("DOMContentLoaded", () => {
  const text = document.getElementById("state-text");
  new MutationObserver(() => window.states.push(text.textContent)).observe(text, { childList: true });
});
"""
HIDE = """
(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""
FILL = """
async (address) => {
  const { Store } = await import(address);
  const store = new Store();
  const workers = Array.from({ length: 8 }, (_, at) => ({ id: `w${at}`, node: null, state: "busy" }));
  const queue = { queued_jobs: 0, unfinished_jobs: 0, drain_seconds: 0 };
  const totals = { units: {}, jobs: 0, busy_seconds: 0 };
  const steady = { gap: 0, silent: 0, ingresses: 1, workers, queue, durable: null, totals, units: {}, density: [] };
  for (let half = 0; half < 1200; half += 1) {
    const now = 1.7e12 + 500 * half;
    const batches = Array.from({ length: 500 }, (_, at) =>
      [`w${at % 8}`, `job-${half}-${at}`, "fibonacci", now - 500 + at, now - 490 + at, 9, 1000, 1, "ok", 1]);
    store.take({ ...steady, now, batches, running: [], jobs: [] });
  }
  window.kept = store;
  return store.ring.length;
}
"""


def streams(opened: Visit) -> list[str]:
    """Cursors with which the stream was opened."""
    return [path.partition("after=")[2] for path in opened.requests if "/timeline/stream" in path]


def test_it_goes_on_after_half_a_minute_and_misses_nothing(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url, before=RECORD_STATES)
    posted = []
    with httpx.Client(base_url=service.url) as client:
        begun = time.monotonic()
        while time.monotonic() - begun < 36:
            answer = client.post("/fibonacci", json={"sequence_size": 1_000, "num_sequences": 1}).raise_for_status()
            posted.append(answer.json()["job_id"][:8])
            opened.page.wait_for_timeout(250)  # meanwhile the browser's events are handled
    assert len(streams(opened)) == 2
    assert streams(opened)[0] == ""
    assert streams(opened)[1] != ""
    assert set(opened.page.evaluate("window.states")) <= {"live"}
    wait_until(lambda: set(posted) <= {row[0] for row in opened.jobs()}, 10, "every job is told of")
    assert opened.page.locator("#missing").is_hidden()


def test_a_cut_connection_is_told_and_mended(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url, before=RECORD_STATES, allowed=("Failed to load resource: net::ERR_",))
    opened.page.context.set_offline(True)
    wait_until(lambda: "reconnecting" in opened.state, 40, "it says that it is cut off")
    assert opened.text("#notice").startswith("The connection was lost.")
    assert opened.violations() == []
    opened.shot("reconnecting", whole=False)
    opened.page.context.set_offline(False)
    opened.until("live", 20)
    assert opened.page.locator("#notice").is_hidden()


def test_the_seventeenth_viewer_is_told_and_gets_in_when_there_is_a_place(service: Service, visit: OpenPage) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_STREAMS):
            client = stack.enter_context(httpx.Client(base_url=service.url, timeout=60))
            answer = stack.enter_context(client.stream("GET", "/timeline/stream"))
            assert answer.status_code == 200
        allowed = ("Failed to load resource: the server responded with a status of 429",)
        opened = visit(service.url, live=False, allowed=allowed)
        opened.until("waiting for a place")
        assert "Trying again in" in opened.text("#notice")
        assert opened.violations() == []
        opened.shot("full", whole=False)
    opened.until("live", 30)


def test_no_connection_is_held_while_nobody_looks(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url, before=RECORD_STATES)
    ended: list[str] = []
    opened.page.on("requestfailed", lambda request: ended.append(request.url))
    opened.page.evaluate(HIDE, "hidden")
    opened.until("stopped")
    assert opened.violations() == []
    wait_until(lambda: any("/timeline/stream" in url for url in ended), 5, "the stream is closed")
    opened.page.wait_for_timeout(2_000)
    assert len(streams(opened)) == 1
    opened.page.evaluate(HIDE, "visible")
    opened.until("live")
    assert streams(opened)[1] != "", "it goes on with its cursor"


def test_a_paused_page_stands_still_and_keeps_what_happens(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url)
    opened.page.keyboard.press("t")
    opened.page.locator("#pause").click()
    opened.until("paused")
    assert opened.violations() == []
    jobs, batches = opened.jobs(), opened.batches()
    with busy(service.url):
        opened.page.wait_for_timeout(4_000)
    assert (opened.jobs(), opened.batches()) == (jobs, batches)
    opened.shot("paused", whole=False)
    opened.page.locator("#pause").click()
    opened.until("live")
    wait_until(lambda: len(opened.batches()) > len(batches), 10, "it has all that happened meanwhile")


def test_ten_minutes_of_a_thousand_batches_a_second_take_little_memory(service: Service, visit: OpenPage) -> None:
    opened = visit(service.url)
    (address,) = {path.rpartition("/")[0] for path in opened.requests if path.endswith("/store.js")}
    assert opened.page.evaluate(FILL, f"{address}/store.js") == 65_536
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("HeapProfiler.collectGarbage")
    assert session.send("Runtime.getHeapUsage")["usedSize"] < 50e6

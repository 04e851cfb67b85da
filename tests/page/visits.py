"""A page that is open in a browser: what is on it, and everything that it must never do."""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from harness.processes import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request

SHOTS = "FIBONACCI_SCREENSHOTS"
"""The folder that gets a picture of each state, for eyes; without it none is taken."""
TIMES = "\N{MULTIPLICATION SIGN}"
SMALL = {"sequence_size": 100_000, "num_sequences": 8}
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
ROWS = """
(selector) => [...document.querySelectorAll(`${selector} tbody tr`)].map((row) =>
  [...row.cells].map((cell) => cell.innerText.replaceAll(/\\s+/g, " ").trim()))
"""
PAINTED = """
() => {
  const canvas = document.getElementById("timeline-canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = data.slice(at, at + 4);
    if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) coloured += 1;
  }
  return coloured;
}
"""


@dataclass
class Visit:
    """An open page. ``wrong`` has what no page may do; ``allowed`` are beginnings of errors that belong to the case."""

    page: "Page"
    origin: str
    wrong: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()
    requests: list[str] = field(default_factory=list)
    """Paths with their queries, in order."""

    def watch(self) -> None:
        """From now on everything is looked at."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._request)

    def _console(self, message: "ConsoleMessage") -> None:
        if message.type == "error" and not (self.allowed and message.text.startswith(self.allowed)):
            self.wrong.append(f"console: {message.text} ({message.location})")

    def _request(self, request: "Request") -> None:
        if request.url.startswith(("data:", "blob:")):
            return
        if not request.url.startswith(self.origin):
            self.wrong.append(f"elsewhere: {request.url}")
        split = urlsplit(request.url)
        self.requests.append(split.path + (f"?{split.query}" if split.query else ""))

    @property
    def state(self) -> str:
        return self.text("#state-text")

    def text(self, selector: str) -> str:
        """What is written there; nothing if it is hidden."""
        shown: str = self.page.locator(selector).first.inner_text()
        return shown

    def until(self, state: str, seconds: float = 15) -> None:
        """Until the page says so of itself."""
        wait_until(lambda: self.state == state, seconds, f"the page is {state}, not {self.state}")

    @property
    def link(self) -> str:
        """What stands in the address after its path; Playwright's ``url`` is old while nothing waits for the page."""
        return str(self.page.evaluate("location.hash"))

    def rows(self, selector: str) -> list[list[str]]:
        """The texts of a table's cells, whether it is shown or not."""
        found: list[list[str]] = self.page.evaluate(ROWS, selector)
        return found

    def batches(self) -> list[list[str]]:
        """Of the table behind the timeline: worker, job, kernel, began, took, computing, work, attempt, outcome."""
        return self.rows("#timeline-table")

    def jobs(self) -> list[list[str]]:
        """Of the last jobs: id, what, state, time, workers, batches."""
        return self.rows(".jobs")

    def painted(self) -> int:
        """Coloured pixels of the timeline."""
        return int(self.page.evaluate(PAINTED))

    def overflow(self) -> int:
        """By how many pixels it would have to be scrolled sideways."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def violations(self) -> list[str]:
        """What axe finds: the rule and where."""
        from axe_playwright_python.sync_playwright import Axe

        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]

    def shot(self, name: str, *, whole: bool = True) -> None:
        """A picture, if somebody wants some."""
        if folder := os.environ.get(SHOTS):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)


@contextlib.contextmanager
def busy(url: str, key: str = "", body: dict[str, Any] = SMALL, callers: int = 3) -> Iterator[None]:
    """Callers who post one job after the other while the block lasts."""
    over = threading.Event()
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call() -> None:
        with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
            while not over.is_set():
                client.post("/fibonacci", json=body).raise_for_status()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()

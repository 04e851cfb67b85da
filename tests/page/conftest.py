"""A real browser on the real service. What a page may never do fails whatever test it happens in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.service import Service, launched
from tests.page.visits import TELL_VIOLATIONS, Visit
from tests.places.needs import lacks

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "/usr/bin/chromium"
"""Debian's: Playwright's own would have to be downloaded, and be kept up to date."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESK, PHONE = (1280, 900), (320, 640)

OpenPage = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacks("the packages of requirements-page.lock: make test-page")
    if not Path(CHROMIUM).exists():
        lacks(CHROMIUM)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[OpenPage]:
    """Opens pages: ``visit(url, size=, before=, allowed=, live=, **how)``; ``how`` is Playwright's, of a context.

    ``before`` is a script that runs before those of the page. After the test, what went wrong on any of them fails it.
    """
    visits = []
    contexts = []

    def opened(
        url: str,
        *,
        size: tuple[int, int] = DESK,
        before: str = "",
        allowed: tuple[str, ...] = (),
        live: bool = True,
        **how: Any,
    ) -> Visit:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **how)
        contexts.append(context)
        context.set_default_timeout(20_000)
        context.add_init_script(TELL_VIOLATIONS + before)
        begun = Visit(context.new_page(), "/".join(url.split("/")[:3]), allowed=allowed)
        visits.append(begun)
        begun.watch()
        begun.page.goto(url)
        if live:
            begun.until("live")
        return begun

    yield opened
    for context in contexts:
        context.close()
    assert [wrong for each in visits for wrong in each.wrong] == []


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with launched("--cpus", "2") as started:
        yield started

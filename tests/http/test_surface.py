"""What browsers are told: headers of every answer, and pages that load nothing from elsewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest

from app.http.problem_pages import PROBLEM_TYPES
from app.job import Batch, BatchResult
from app.status import PoolStatus
from tests.http.client import Client

pytestmark = pytest.mark.anyio

PAGES = ["/", "/docs", "/problems", *(f"/problems/{name}" for name in PROBLEM_TYPES)]
LOADING = {"src", "href", "srcset", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """What a page loads, and what of it a policy without 'unsafe-inline' forbids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._in: str = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        self.addresses += [value or "" for name, value in attrs if name in LOADING]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 (HTMLParser calls it so)
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style") and data.strip():
            self.inline.append(data)


def policy_of(response: httpx.Response) -> dict[str, str]:
    """Its Content-Security-Policy by directive."""
    parts = response.headers["content-security-policy"].split("; ")
    return {name: sources for name, _, sources in (part.partition(" ") for part in parts)}


async def break_down() -> PoolStatus:
    """A bug."""
    raise RuntimeError("broken")


async def lose(worker_id: str, batch: Batch) -> BatchResult:
    """A worker whose code raises."""
    raise RuntimeError("broken")


async def answers() -> list[httpx.Response]:
    """One of each kind."""
    client = Client(read_pool=break_down)
    job = {"sequence_size": 10, "num_sequences": 1}
    return [
        await client.post("/fibonacci", json=job),
        await client.post("/fibonacci", json={}, headers={"Content-Type": "text/plain"}),
        await client.post("/fibonacci", json=job | {"sequence_size": -1}),
        await Client(run_batch=lose).post("/fibonacci", json=job),
        await client.get("/pool"),  # a bug: answered outside of all that FastAPI lets one add
        await client.get("/nothing"),
        await client.get("/livez"),
        await client.get("/openapi.json"),
        *[await client.get(page) for page in PAGES],
        await client.get("/docs/assets/swagger-ui.css"),
        await client.get("/docs/assets/nothing.css"),
    ]


async def test_every_answer_has_the_headers() -> None:
    found = await answers()
    statuses = [answer.status_code for answer in found]
    assert (statuses[:6], statuses[-1]) == ([200, 415, 422, 500, 500, 404], 404)
    assert set(statuses[6:-1]) == {200}
    for answer in found:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert policy_of(answer)["default-src"] == "'none'"
        assert policy_of(answer)["frame-ancestors"] == "'none'"
        assert "server" not in answer.headers
        assert len(answer.headers.get_list("cache-control")) == 1
        assert len(answer.headers.get_list("content-security-policy")) == 1


async def test_only_the_files_of_the_docs_page_may_be_kept() -> None:
    for answer in await answers():
        kept = answer.status_code == 200 and "/docs/assets/" in str(answer.url)
        assert answer.headers["cache-control"] == ("public, max-age=86400" if kept else "no-store")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_nothing_from_elsewhere_and_nothing_inline(path: str) -> None:
    response = await Client().get(path)
    page = Page(response.text)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not page.inline
    assert not [address for address in page.addresses if re.match(r"[a-z]+:|//", address)]
    assert "unsafe" not in response.headers["content-security-policy"]


@pytest.mark.parametrize("root_path", ["", "/under/a/prefix"])
async def test_every_file_that_the_docs_page_names_is_there(root_path: str) -> None:
    client = Client()
    page = await client.get("/docs")
    kinds = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}
    addresses = Page(page.text).addresses
    assert len(addresses) == 4
    for address in addresses:
        assert urljoin(f"{root_path}/docs", address) == f"{root_path}/{address}"
        response = await client.get(urljoin("/docs", address))
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == kinds[address[address.rindex(".") :]]
        assert len(response.content) > 100
    (source,) = re.findall(r'url: "(.*)"', (await client.get("/docs/start.js")).text)
    assert (await client.get(urljoin("/docs", source))).json()["openapi"].startswith("3.")


async def test_the_docs_pages_policy_allows_what_it_loads() -> None:
    policy = policy_of(await Client().get("/docs"))
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"  # the icons in Swagger UI's style sheet


async def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    client = Client()
    first = await client.get("/docs/assets/swagger-ui-bundle.js")
    again = await client.get("/docs/assets/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "public, max-age=86400"


@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=abc", "bytes=9999999999-", "bytes=5-1", "lines=1-2"])
async def test_a_file_comes_whole_whatever_part_is_asked_for(wanted: str) -> None:
    client = Client()
    whole = await client.get("/docs/assets/swagger-ui.css")
    part = await client.get("/docs/assets/swagger-ui.css", headers={"Range": wanted, "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (200, whole.content)
    assert part.headers["accept-ranges"] == "none"


async def test_another_sites_script_is_not_let_in() -> None:
    origin = {"Origin": "http://elsewhere.example"}
    asked = await Client().options("/fibonacci", headers=origin | {"Access-Control-Request-Method": "POST"})
    assert asked.status_code == 405
    simple = await Client().post("/fibonacci", content="{}", headers=origin | {"Content-Type": "text/plain"})
    assert simple.status_code == 415  # what a page may post without asking
    for answer in (asked, simple):
        assert not [name for name in answer.headers if name.startswith("access-control-")]

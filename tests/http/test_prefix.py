"""Behind a route prefix, and behind a proxy that takes one off: every link leads somewhere."""

from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from app.http.problem_pages import PROBLEM_TYPES
from tests.http.client import Client
from tests.http.test_surface import Page

pytestmark = pytest.mark.anyio
PREFIXES = ["", "/fib", "/under/a/prefix"]


async def follow(client: Client, path: str, shown_as: str) -> list[str]:
    """The paths, as a browser knows them, of all that can be reached from here by links; each is there.

    ``shown_as`` stands before what the service takes for the path.
    """
    seen, left = list[str](), [path]
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.append(path)
        assert path.startswith(shown_as)
        answer = await client.get(path.removeprefix(shown_as))
        left += [urljoin(path, address) for address in _addresses(answer)]
    return seen


def _addresses(answer: httpx.Response) -> list[str]:
    if answer.status_code == 307:
        return [answer.headers["location"]]
    assert answer.status_code == 200, answer.url
    return Page(answer.text).addresses if answer.headers["content-type"].startswith("text/html") else []


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_root_is_the_page_and_leads_to_the_documentation(prefix: str) -> None:
    found = await follow(Client(root_path=prefix), f"{prefix}/", "")
    assert f"{prefix}/docs" in found
    assert f"{prefix}/docs/start.js" in found
    assert any(path.startswith(f"{prefix}/page/") and path.endswith("/main.js") for path in found)


@pytest.mark.parametrize("prefix", PREFIXES[1:])
async def test_without_its_slash_it_leads_to_where_it_has_one(prefix: str) -> None:
    """The page's addresses are relative: at ``/fib`` they would lead out of the prefix."""
    answer = await Client(root_path=prefix).get(prefix)
    assert answer.status_code == 307
    assert urljoin(prefix, answer.headers["location"]) == f"{prefix}/"


async def test_so_it_does_behind_a_proxy_that_takes_the_prefix_off() -> None:
    assert "/outside/docs/start.js" in await follow(Client(), "/outside/", "/outside")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_list_of_problems_leads_to_every_page_and_back(prefix: str) -> None:
    pages = {f"{prefix}/problems/{name}" for name in PROBLEM_TYPES}
    assert pages <= set(await follow(Client(root_path=prefix), f"{prefix}/problems", ""))
    assert pages <= set(await follow(Client(root_path=prefix), f"{prefix}/problems/deadline", ""))


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/fibonacci", "/fibonacci/compare"])
async def test_a_problems_type_leads_to_its_page(prefix: str, path: str) -> None:
    client = Client(root_path=prefix)
    refused = await client.post(prefix + path, json={"sequence_size": 10_000_000, "num_sequences": 10_000})
    address = urljoin(str(refused.url), refused.json()["type"])
    assert urlsplit(address).path == f"{prefix}/problems/too-costly"
    page = await client.get(address)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_document_says_where_its_paths_begin(prefix: str) -> None:
    document = (await Client(root_path=prefix).get(f"{prefix}/openapi.json")).json()
    assert document.get("servers") == ([{"url": prefix}] if prefix else None)


@pytest.mark.parametrize("path", ["/", "/problems", "/problems/deadline"])
async def test_head_is_get_without_a_body(path: str) -> None:
    client = Client()
    get, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.headers) == (get.status_code, get.headers)

"""An answer that comes before the end of the body is read by the clients that people use."""

import pytest

from harness.service import Service
from tests.serve.real_clients import CLIENTS, is_here


@pytest.mark.parametrize(("num_bytes", "tries"), [(100_000, 10), (8_000_000, 10), (64_000_000, 1)])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_body_that_is_too_long_gets_its_413(service: Service, name: str, num_bytes: int, tries: int) -> None:
    if not is_here(name):
        pytest.skip(f"no {name} here")
    assert CLIENTS[name](f"{service.url}/fibonacci", num_bytes, tries) == [413] * tries


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/pool", 405)])
def test_so_does_what_is_posted_to_the_wrong_place(service: Service, path: str, status: int) -> None:
    assert CLIENTS["urllib"](service.url + path, 8_000_000, 5) == [status] * 5

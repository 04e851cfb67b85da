"""Fixtures of the HTTP tier. Nothing here starts Ray or a server."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Which event loop the async tests run on, unless they are marked ``in_virtual_time``."""
    return "asyncio"

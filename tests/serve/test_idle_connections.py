"""A connection that nobody uses is closed, and soon."""

import time

from deployments.launcher.timeouts import KEEP_ALIVE_SECONDS
from harness.raw_socket import RawConnection
from harness.service import Service

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def test_an_idle_connection_is_closed_after_its_time(service: Service) -> None:
    with RawConnection(service.url) as connection:
        connection.send(LIVEZ)
        assert connection.answer().status == 200
        begun = time.monotonic()
        assert connection.ends_within(KEEP_ALIVE_SECONDS + 2)
        assert time.monotonic() - begun > KEEP_ALIVE_SECONDS - 2

"""Where the metrics are shown, by the launcher's options."""

import socket
from collections.abc import Iterator

import pytest

from deployments.launcher import command
from deployments.launcher.console import LaunchError
from deployments.launcher.metrics_address import PORT, read_metrics_address
from deployments.launcher.ports import PortTakenError, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(("host", "port"), [(None, None), ("127.0.0.1", None), (None, 0)])
def test_unless_it_is_said_where_they_are_on_loopback_on_any_free_port(host: str | None, port: int | None) -> None:
    metrics = read_metrics_address(host, port)
    assert metrics.taken is None
    agent_port = metrics.agent_port()
    assert metrics.url(agent_port) == f"http://127.0.0.1:{agent_port}/metrics"
    assert metrics.for_haproxy(agent_port) == ""
    assert metrics.exposure == ""


def test_a_port_that_was_asked_for_is_the_agents() -> None:
    port = free_port()
    metrics = read_metrics_address(None, port)
    assert metrics.agent_port() == port
    assert metrics.url(port) == f"http://127.0.0.1:{port}/metrics"
    assert metrics.taken is not None
    assert (metrics.taken.hosts, metrics.taken.port) == (("127.0.0.1",), port)


def test_beyond_loopback_haproxy_shows_them_on_the_usual_port() -> None:
    metrics = read_metrics_address("0.0.0.0", None)  # noqa: S104 (nothing is bound)
    agent_port = metrics.agent_port()
    assert agent_port != PORT
    assert metrics.exposure == f"0.0.0.0 is not loopback: anyone who reaches port {PORT} can read the metrics"
    assert metrics.url(agent_port) == f"http://127.0.0.1:{PORT}/metrics"
    assert metrics.for_haproxy(agent_port) == f"{agent_port} 0.0.0.0:{PORT}"


def test_a_port_that_is_taken_gives_one_clear_line(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["--port", "0", "--metrics-port", str(taken)], None) == 1
    assert capsys.readouterr().out == f"error: cannot listen on 127.0.0.1:{taken}: Address already in use\n"


def test_the_apis_port_is_not_for_the_metrics_too(capsys: pytest.CaptureFixture[str]) -> None:
    port = str(free_port())
    assert command.run(["--port", port, "--metrics-port", port], None) == 1
    assert capsys.readouterr().out == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_port_that_was_taken_meanwhile_is_not_tried_again() -> None:
    metrics = read_metrics_address(None, port := free_port())
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTakenError):
        metrics.agent_port()


def test_what_is_no_port_is_refused() -> None:
    with pytest.raises(LaunchError, match="metrics: port 70000 is not a number from 0 to 65535"):
        read_metrics_address(None, 70_000)

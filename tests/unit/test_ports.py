"""Ports are chosen where the kernel gives none by itself."""

import socket
from pathlib import Path

import pytest

from deployments.launcher import ports


@pytest.mark.parametrize("ephemeral", [None, (32_768, 60_999), (15_000, 61_000), (1_024, 50_000), (20_000, 25_000)])
def test_no_port_is_one_that_the_kernel_may_give_anybody(
    ephemeral: tuple[int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ephemeral is not None:
        (tmp_path / "range").write_text("{}\t{}\n".format(*ephemeral))
        monkeypatch.setattr(ports, "EPHEMERAL", tmp_path / "range")
    low, high = map(int, ports.EPHEMERAL.read_text().split())
    chosen = [ports.free_port_range(64) for _ in range(10)]
    assert all(low > first + 63 or high < first for first in chosen)


def test_where_every_port_is_ephemeral_one_of_them_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "range").write_text("1024\t65535\n")
    monkeypatch.setattr(ports, "EPHEMERAL", tmp_path / "range")
    assert ports.free_port() in ports.CHOSEN


def test_a_range_has_no_port_that_somebody_listens_on(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ports.free_port_range(8)
    monkeypatch.setattr(ports, "_candidates", lambda: list(range(first, first + 5)))
    with socket.create_server(("127.0.0.1", first + 3)):
        assert ports.free_port_range(4) == first + 4

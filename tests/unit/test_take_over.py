"""Permission to take durable jobs from a service that may live is for one start."""

from pathlib import Path

from deployments.config.take_over import VARIABLE, may_take_over


def test_the_first_keeper_of_each_application_may_and_no_later_one(tmp_path: Path) -> None:
    environ = {VARIABLE: str(tmp_path)}
    assert [may_take_over(environ, name) for name in ("a/b", "a/b", "c", "a/b", "c")] == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_without_a_folder_nobody_may(tmp_path: Path) -> None:
    for environ in ({}, {VARIABLE: ""}, {VARIABLE: "1"}, {VARIABLE: str(tmp_path / "missing")}):
        assert not may_take_over(environ, "fibonacci")

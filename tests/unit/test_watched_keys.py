"""A key file that changes under a running service: what holds then, and what is said of it."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.keys import KeysError
from deployments.config.watched_keys import WatchedKeys

ALICE, BOB = b"fib_alice", b"fib_bob"
LINES = {name: f"{name}:{hashlib.sha256(key).hexdigest()}\n" for name, key in (("alice", ALICE), ("bob", BOB))}


@pytest.fixture(autouse=True)
def all_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ray.serve")  # the launcher raises it, in this process too


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(LINES["alice"])
    return path


def callers(keys: WatchedKeys) -> list[str | None]:
    return [keys.caller(ALICE), keys.caller(BOB)]


def by_writing(path: Path, text: str) -> None:
    path.write_text(text)


def by_renaming(path: Path, text: str) -> None:
    other = path.with_name("other")
    other.write_text(text)
    other.rename(path)


def by_pointing_elsewhere(path: Path, text: str) -> None:
    """As Kubernetes changes what it mounts."""
    other = path.with_name(f"other-{len(text)}")
    other.write_text(text)
    path.with_name("link").symlink_to(other)
    path.with_name("link").rename(path)


@pytest.mark.parametrize("change", [by_writing, by_renaming, by_pointing_elsewhere])
def test_a_change_holds_after_two_looks(path: Path, change: Callable[[Path, str], None]) -> None:
    keys = WatchedKeys(str(path))
    change(path, LINES["bob"])
    keys.look()
    assert callers(keys) == ["alice", None]  # it may be half written
    keys.look()
    assert callers(keys) == [None, "bob"]


def test_a_file_that_is_being_written_is_left_alone(path: Path) -> None:
    keys = WatchedKeys(str(path))
    with path.open("w") as file:  # truncated
        keys.look()
        for part in (LINES["alice"], LINES["bob"][:20], LINES["bob"][20:]):
            file.write(part)
            file.flush()
            keys.look()
            assert callers(keys) == ["alice", None]
    keys.look()
    assert callers(keys) == ["alice", "bob"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(""),
        lambda path: path.write_text(LINES["bob"] + "carol:secret\n"),
        lambda path: path.write_text(LINES["bob"][:30]),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to(path)),
        lambda path: shutil.rmtree(path.parent),
    ],
    ids=["empty", "a wrong line", "cut off", "no text", "removed", "a folder", "a loop", "its folder removed"],
)
def test_while_it_is_unusable_the_old_keys_hold_and_one_line_says_why(
    path: Path, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    keys = WatchedKeys(str(path))
    spoil(path)
    for _ in range(5):
        keys.look()
    assert callers(keys) == ["alice", None]
    (line,) = caplog.messages
    assert line.startswith("the API keys stay as they were: ")
    assert str(path) in line
    assert "secret" not in line


def test_a_file_that_comes_back_holds_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = WatchedKeys(str(path))
    path.unlink()
    for text in (None, LINES["bob"]):
        if text is not None:
            path.write_text(text)
        for _ in range(3):
            keys.look()
    assert callers(keys) == [None, "bob"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_what_does_not_change_is_not_read_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = WatchedKeys(str(path))
    for _ in range(5):
        keys.look()
    assert caplog.messages == []


def test_a_change_between_the_look_and_the_reading_is_seen(path: Path) -> None:
    keys = WatchedKeys(str(path))
    before = path.stat()
    path.write_text(LINES["bob"])  # as long, but for its name
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):
        keys.look()
    assert callers(keys) == [None, "bob"]


def test_a_service_does_not_start_without_usable_keys(tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        WatchedKeys(str(tmp_path / "missing"))

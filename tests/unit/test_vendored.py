"""The page's foreign library is what was published: its files are compared with ``vendor.json``, without a network."""

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from set_up import vendor

INDEX = json.loads((vendor.FOLDER / vendor.INDEX).read_text())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_is_as_published_and_none_is_beside_them() -> None:
    found = {path.name: sha256(path) for path in vendor.FOLDER.iterdir() if path.name != vendor.INDEX}
    assert found == INDEX["files"]


def test_the_index_is_of_the_version_that_is_fetched() -> None:
    assert (INDEX["package"], INDEX["version"]) == (vendor.PACKAGE, vendor.VERSION)
    assert INDEX["integrity"] == vendor.INTEGRITY


def archive_of(*members: str) -> bytes:
    """A package with these files."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for member in members:
            info = tarfile.TarInfo(member)
            info.size = len(member)
            tar.addfile(info, io.BytesIO(member.encode()))
    return written.getvalue()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files go instead; npm brings what is in ``fetched.tgz`` there."""
    monkeypatch.setattr(vendor, "FOLDER", tmp_path)
    monkeypatch.setattr(vendor, "_fetched", lambda _: tmp_path / "fetched.tgz")
    return tmp_path


def bring(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """npm brings this; with ``monkeypatch`` it is what is expected too."""
    (folder / "fetched.tgz").write_bytes(content)
    if monkeypatch:
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        monkeypatch.setattr(vendor, "INTEGRITY", f"sha512-{digest}")


def test_another_archive_than_the_expected_changes_nothing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring(elsewhere, archive_of(*vendor.MEMBERS))
    assert vendor.main() == 1
    assert [path.name for path in elsewhere.iterdir()] == ["fetched.tgz"]
    assert capsys.readouterr().out.startswith("error: uplot 1.6.32 is not what it was")


def test_the_files_are_written_with_their_digests(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(elsewhere, archive_of(*vendor.MEMBERS, "package/../../elsewhere"), monkeypatch)
    assert vendor.main() == 0
    index = json.loads((elsewhere / "vendor.json").read_text())
    assert index["files"] == {name: sha256(elsewhere / name) for name in INDEX["files"]}
    assert {path.name for path in elsewhere.iterdir()} == {"fetched.tgz", "vendor.json", *index["files"]}


def test_a_package_that_lacks_a_file_changes_nothing(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(elsewhere, archive_of("package/LICENSE"), monkeypatch)
    assert vendor.main() == 1
    assert [path.name for path in elsewhere.iterdir()] == ["fetched.tgz"]

"""What the harness starts keeps no durable jobs where the person who starts it does."""

import os
from pathlib import Path

import pytest

from harness.service import STATE, started

MODULE = """
import os, signal
print(os.environ["FIBONACCI_STATE"])
print("ready on http://here", flush=True)
signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shows_state.py").write_text(MODULE)
    return tmp_path


def test_each_has_a_folder_of_its_own_that_goes_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE, "/home/alice/jobs")
    with started("shows_state", folder=folder) as one, started("shows_state", folder=folder) as two:
        shown = [Path(each.output[0].strip()) for each in (one, two)]
        assert all(each.is_dir() for each in shown)
    assert len({*shown, Path("/home/alice/jobs")}) == 3
    assert not any(each.exists() for each in shown)


def test_a_folder_that_it_is_given_is_used_and_stays(folder: Path) -> None:
    for how in ({"state": folder}, {"environment": os.environ | {STATE: str(folder)}}):
        with started("shows_state", folder=folder, **how) as service:
            assert service.output[0].strip() == str(folder)
    assert folder.is_dir()

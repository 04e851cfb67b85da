"""Which folder durable jobs get, and what the launcher says and starts if they can get none."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.launcher.shape import IMPORT_PATH
from deployments.launcher.state import KEEPER, resolve


def ours(name: str = "fibonacci", **args: Any) -> dict[str, Any]:
    return {"name": name, "import_path": IMPORT_PATH, "args": args}


def folder_of(application: dict[str, Any]) -> str | None:
    found: str | None = application["args"].get("jobs_folder")
    return found


def test_the_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    application = ours(jobs_folder=None)
    place = tmp_path / "a/b"
    assert resolve({"applications": [application]}, str(place), {}) == ""
    assert folder_of(application) == str(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_one_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o1777)
    assert resolve({"applications": [ours()]}, str(place), {}) == ""
    assert stat.S_IMODE(place.stat().st_mode) == 0o1777


def test_the_option_comes_before_the_variable_and_that_before_xdg_and_that_before_home(tmp_path: Path) -> None:
    environ = {name: str(tmp_path / name) for name in ("FIBONACCI_STATE", "XDG_STATE_HOME", "HOME")}
    Path(environ["HOME"]).mkdir()
    found = []
    for removed in (None, "", "FIBONACCI_STATE", "XDG_STATE_HOME"):
        environ.pop(removed or "", None)
        application = ours()
        assert (
            resolve({"applications": [application]}, str(tmp_path / "option") if removed is None else None, environ)
            == ""
        )
        found.append(Path(folder_of(application) or "").relative_to(tmp_path).as_posix())
    assert found == ["option", "FIBONACCI_STATE", "XDG_STATE_HOME/fibonacci", "HOME/.local/state/fibonacci"]


def test_an_empty_variable_counts_as_none_and_a_relative_xdg_folder_too(tmp_path: Path) -> None:
    application = ours()
    environ = {"FIBONACCI_STATE": "", "XDG_STATE_HOME": "relative", "HOME": str(tmp_path)}
    assert resolve({"applications": [application]}, None, environ) == ""
    assert folder_of(application) == str(tmp_path / ".local/state/fibonacci")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "/nowhere"}])
def test_who_has_no_home_has_no_durable_jobs_and_is_told_how_to_get_them(environ: dict[str, str]) -> None:
    application = ours(jobs_folder=None)
    said = resolve({"applications": [application]}, None, environ)
    assert "--state" in said
    assert "\n" not in said
    assert folder_of(application) is None
    assert not Path("/nowhere").exists()


def test_a_folder_that_cannot_be_made_is_named_and_the_keeper_has_no_entry_then(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    application = ours() | {"deployments": [{"name": KEEPER, "num_replicas": 1}, {"name": "FibonacciWorker"}]}
    place = tmp_path / "file/state"
    assert resolve({"applications": [application]}, str(place), {}) == f"{place}: Not a directory"
    assert folder_of(application) is None
    assert application["deployments"] == [{"name": "FibonacciWorker"}]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    """To root every folder can be written to, but not these."""
    application = ours()
    said = resolve({"applications": [application]}, "/proc", {})
    assert said.startswith("/proc: ")
    assert folder_of(application) is None


def test_of_two_applications_each_has_a_folder_of_its_own(tmp_path: Path) -> None:
    both = [ours("one"), ours("a/b")]
    assert resolve({"applications": both}, str(tmp_path), {}) == ""
    assert [folder_of(each) for each in both] == [str(tmp_path / "one"), str(tmp_path / "a%2Fb")]
    assert (tmp_path / "one").is_dir()


def test_who_names_a_folder_or_a_database_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = ours("one", jobs_folder="jobs"), ours("two", jobs_database="postgresql://alice@db/jobs")
    assert resolve({"applications": [first, second]}, str(tmp_path / "state"), {}) == ""
    assert folder_of(first) == str(tmp_path / "jobs")  # Serve may be elsewhere
    assert folder_of(second) is None
    assert not (tmp_path / "state").exists()


def test_another_application_gets_none(tmp_path: Path) -> None:
    other: dict[str, Any] = {"name": "hello", "import_path": "hello:app"}
    assert resolve({"applications": [other]}, str(tmp_path / "state"), {}) == ""
    assert other.get("args") == {}
    assert not (tmp_path / "state").exists()


def test_the_shipped_file_gets_one(tmp_path: Path) -> None:
    config = yaml.safe_load((Path(__file__).parents[2] / "serve_config.yaml").read_text())
    assert resolve(config, str(tmp_path), {}) == ""
    assert folder_of(config["applications"][0]) == str(tmp_path)

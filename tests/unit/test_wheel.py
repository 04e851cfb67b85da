"""The wheel holds the whole package, the page's files too, and says that it is typed."""

from pathlib import Path
from zipfile import ZipFile

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_every_module_the_page_and_both_marks_of_types(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {
        str(path.relative_to(ROOT)) for folder in ("app", "deployments") for path in (ROOT / folder).rglob("*.py")
    }
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "app/page").rglob("*") if path.is_file()}
    assert packed == modules | page | {"app/py.typed", "deployments/py.typed"}

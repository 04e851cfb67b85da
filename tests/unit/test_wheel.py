"""The wheel holds the whole package, and says that it is typed."""

from pathlib import Path
from zipfile import ZipFile

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_every_module_and_both_marks_of_types(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {
        str(path.relative_to(ROOT)) for folder in ("app", "deployments") for path in (ROOT / folder).rglob("*.py")
    }
    assert packed == modules | {"app/py.typed", "deployments/py.typed"}

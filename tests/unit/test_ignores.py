"""No finding of a linter is silenced without a reason."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "benchmarks", "chaos", "deployments", "tests")


@pytest.mark.parametrize("path", [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))], ids=str)
def test_every_noqa_names_its_rule_and_its_reason(path: Path) -> None:
    for line in path.read_text().splitlines():
        comment = line.partition("# " + "noqa")[2]
        assert not comment or re.match(r": [A-Z]+\d+(, [A-Z]+\d+)* \(.+\)", comment), line

"""The figures of faults that the documents show are those that were recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from chaos.registry import ROWS, Row
from chaos.table import table, with_table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"


def recorded(name: str) -> dict[str, Any]:
    rows: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return rows


def test_the_fault_table_is_that_of_the_recorded_run() -> None:
    page = (ROOT / "docs/faults.md").read_text()
    assert with_table(page, recorded("chaos")) == page


@pytest.mark.parametrize("name", ["workers-killed", "flipped-bits"])
def test_the_readme_has_the_recorded_figures_of_a_fault(name: str) -> None:
    row = recorded("chaos")[name]
    figures = f"{row['requests']:,} requests, {row['failed']} failed, {row['wrong']} wrong"
    assert figures in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "rows"),
    [("chaos", ROWS), ("chaos-default-proxy", [row for row in ROWS if row.with_default_proxy])],
    ids=["HAProxy", "Serve's own proxy"],
)
def test_every_row_was_recorded_as_it_is_now(name: str, rows: list[Row]) -> None:
    found = recorded(name)
    assert [(row.name, row.text) for row in rows] == [(known, row["text"]) for known, row in found.items()]
    assert (RESULTS / f"{name}.md").read_text() == table(found)

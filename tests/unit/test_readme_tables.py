"""The README's tables of measurements are those that were measured."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_fault_table_is_that_of_the_last_run() -> None:
    shown = re.findall(
        r"<!-- chaos: begin \(benchmarks/results/chaos\.md\) -->\n(.*?)<!-- chaos: end -->",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
    assert shown == [(ROOT / "benchmarks/results/chaos.md").read_text()]

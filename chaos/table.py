"""The outcomes as Markdown tables: a full one, and a shorter one for the README."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]
"""What ``chaos.run`` writes as JSON."""

HEAD = ("what happens", "requests", "failed", "wrong", "p50, ms", "p99, ms", "slowest, ms", "seen (promised)", "kept")
SHORT_HEAD = ("what happens", "requests", "failed", "wrong", "p99, ms", "seen (promised)", "kept")
BLOCK = re.compile(r"(?<=<!-- chaos: begin -->\n).*?(?=<!-- chaos: end -->)", re.DOTALL)
"""Where the README has it."""


def table(rows: Rows) -> str:
    """All that was seen."""
    return _table(HEAD, (_cells(row) for row in rows.values()))


def short_table(rows: Rows) -> str:
    """What was promised, beside what was seen of it."""
    return _table(SHORT_HEAD, (_short_cells(row) for row in rows.values()))


def with_table(readme: str, rows: Rows) -> str:
    """The README's text with the short table in its place."""
    page = short_table(rows)
    return BLOCK.sub(lambda _: page, readme)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = (_milliseconds(row[key]) for key in ("p50_ms", "p99_ms", "slowest_ms"))
    return row["text"], *_counts(row), *times, "; ".join(row["told"]), _kept(row)


def _short_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["text"], *_counts(row), _milliseconds(row["p99_ms"]), "; ".join(row["promised"]), _kept(row)


def _counts(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{row[key]:,}" for key in ("requests", "failed", "wrong"))


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value else ""


def _kept(row: Mapping[str, Any]) -> str:
    if not row["date"]:
        return "not run yet"
    return "**no**" if row["broken"] else "yes"

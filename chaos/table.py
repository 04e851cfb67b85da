"""The outcomes as Markdown: a full table, and a shorter one with a list of the promises for the page about faults."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]
"""What ``chaos.run`` writes as JSON."""

HEAD = ("what happens", "requests", "failed", "wrong", "p50, ms", "p99, ms", "slowest, ms", "seen (promised)", "kept")
SHORT_HEAD = ("what happens", "requests", "failed", "wrong", "p99, ms", "kept")
BLOCK = re.compile(r"(?<=<!-- chaos: begin -->\n).*?(?=<!-- chaos: end -->)", re.DOTALL)
"""Where the page has it."""
LINE_LENGTH = 118
"""And two of indentation."""


def table(rows: Rows) -> str:
    """All that was seen."""
    return _table(HEAD, (_cells(row) for row in rows.values()))


def short_table(rows: Rows) -> str:
    """The numbers of requests, and how long the slowest of them took."""
    return _table(SHORT_HEAD, (_short_cells(row) for row in rows.values()))


def promises(rows: Rows) -> str:
    """What was seen of each promise, row by row, as a list: too long for cells of a table."""
    items = (f"- {row['text']}: {'; '.join(row['promised'])}" for row in rows.values() if row["promised"])
    return "".join(f"{_wrapped(item)}\n" for item in items)


def with_table(page: str, rows: Rows) -> str:
    """The page's text with the short table in its place, and the promises below it."""
    block = f"{short_table(rows)}\nSeen of each promise, with its bound in brackets:\n\n{promises(rows)}\n"
    return BLOCK.sub(lambda _: block, page)


def _wrapped(item: str) -> str:
    """In lines of the usual length; a sign and its bound stay together."""
    lines = textwrap.wrap(item.replace("= ", "=\0"), LINE_LENGTH, break_long_words=False, break_on_hyphens=False)
    return "\n  ".join(lines).replace("\0", " ")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = (_milliseconds(row[key]) for key in ("p50_ms", "p99_ms", "slowest_ms"))
    return row["text"], *_counts(row), *times, "; ".join(row["told"]), _kept(row)


def _short_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["text"], *_counts(row), _milliseconds(row["p99_ms"]), _kept(row)


def _counts(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{row[key]:,}" for key in ("requests", "failed", "wrong"))


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value else ""


def _kept(row: Mapping[str, Any]) -> str:
    if not row["date"]:
        return "not run yet"
    return "**no**" if row["broken"] else "yes"

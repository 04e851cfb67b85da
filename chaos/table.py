"""The outcomes as a Markdown table."""

from collections.abc import Mapping
from typing import Any

HEAD = ("what happens", "requests", "failed", "wrong", "p50, ms", "p99, ms", "slowest, ms", "seen (promised)", "kept")


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """``rows``: what ``chaos.run`` writes as JSON."""
    lines = [HEAD, ("---",) * len(HEAD), *(_cells(row) for row in rows.values())]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = (f"{row[key]:,.0f}" if row[key] else "" for key in ("p50_ms", "p99_ms", "slowest_ms"))
    counts = (f"{row[key]:,}" for key in ("requests", "failed", "wrong"))
    return row["text"], *counts, *times, "; ".join(row["told"]), "**no**" if row["broken"] else "yes"

"""The figures as Markdown: a table for each work, and the goals."""

from benchmarks.figures import Figures, one_sequence_speedups, spread
from benchmarks.goals import Goal
from benchmarks.workloads import CONNECTIONS, FEW_CONNECTIONS, SMALL_SIZES

LOOPS = {
    f"{CONNECTIONS}_requests_per_second": f"{CONNECTIONS} connections: requests/s",
    f"{CONNECTIONS}_p50_ms": "p50, ms",
    f"{CONNECTIONS}_p99_ms": "p99, ms",
    f"{FEW_CONNECTIONS}_requests_per_second": f"{FEW_CONNECTIONS} connections: requests/s",
    f"{FEW_CONNECTIONS}_p99_ms": "p99, ms",
    "open_arrivals_per_second": "open loop at half the rate of 32: arrivals/s",
    "open_p50_ms": "p50, ms",
    "open_p99_ms": "p99, ms",
}
"""(i) What is shown of each size."""
COLUMNS = {
    "a_seconds": "(a) CPUs x 100,000, s",
    "b_seconds": "(b) 64 x 100,000, s",
    "c_seconds": "(c) 1 x 1,000,000, s",
    "d_requests_per_second": "(d) tiny jobs, 32 connections: requests/s",
    "d_p50_ms": "(d) p50, ms",
    "d_p99_ms": "(d) p99, ms",
    "e_arrivals_per_second": "(e) tiny jobs at half that rate, open loop: arrivals/s",
    "e_p50_ms": "(e) p50, ms",
    "e_p99_ms": "(e) p99, ms",
    "e_p999_ms": "(e) p99.9, ms",
    "e_late_p99_ms": "(e) sent after it was due: p99, ms",
    "f_p50_ms": "(f) one tiny job at a time: p50, ms",
    "g_p50_ms": "(g) tiny jobs while a long one holds the pool: p50, ms",
    "g_p99_ms": "(g) p99, ms",
    "h_seconds": "(h) start to first 200, s",
    "a_megabytes": "(a) growth of peak memory, MB",
    "j_megabytes": "(j) idle: memory of all processes, MB",
    "j_cpu_percent": "(j) idle: CPU of all processes, % of a core",
    **{f"i_{size}_{loop}": f"(i) {size:,} terms, {of}" for size in SMALL_SIZES for loop, of in LOOPS.items()},
}
TABLES = {
    "Batches": ("a_seconds", "b_seconds", "c_seconds", "a_megabytes"),
    "HTTP": ("d_requests_per_second", "d_p50_ms", "d_p99_ms", "f_p50_ms", "h_seconds", "j_megabytes", "j_cpu_percent"),
    **{f"HTTP, jobs of {size:,} terms": tuple(f"i_{size}_{loop}" for loop in LOOPS) for size in SMALL_SIZES},
    "HTTP, open loop": tuple(figure for figure in COLUMNS if figure.startswith(("e_", "g_"))),
}
LEGEND = (
    "Medians, with the least and the greatest value in brackets. (a) memory: of the process that computes; for the "
    "service of all its workers. (e): with wrk a latency counts from when the request was sent, and how late that "
    "was is given; with locust from when it was due. (g): a peer without an answer when measuring ended took at "
    "least that."
)


def report(figures: Figures, goals: list[Goal], about: dict[str, str], notes: list[str]) -> str:
    """The whole page."""
    parts = ["# The service against its peers", "\n".join(f"- {key}: {value}" for key, value in about.items()), LEGEND]
    for title, columns in TABLES.items():
        parts += [f"## {title}", figures_table(figures, columns)]
    parts += ["## Speed-up of one sequence", speedup_table(figures)]
    parts += ["## Goals", goals_table(goals)]
    if notes:
        parts += ["## Left out", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def figures_table(figures: Figures, columns: tuple[str, ...]) -> str:
    """Medians, with the least and the greatest value in brackets."""
    peers = list(dict.fromkeys(peer for column in columns for peer in figures.rounds.get(column, {})))
    rows = [[peer, *(_cell(figures.rounds.get(column, {}).get(peer)) for column in columns)] for peer in peers]
    return _table(["", *(COLUMNS[column] for column in columns)], rows)


def speedup_table(figures: Figures) -> str:
    """A row for each size of a single sequence."""
    speedups = one_sequence_speedups(figures)
    sizes = sorted({size for values in speedups.values() for size in values})
    rows = [[f"{size:,}", *(_cell(values.get(size)) for values in speedups.values())] for size in sizes]
    return _table(["terms", *speedups], rows)


def goals_table(goals: list[Goal]) -> str:
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        [
            str(g.number),
            g.text,
            f"{g.sign} {_short(g.target)}",
            "" if g.value is None else _short(g.value),
            words[g.met],
        ]
        for g in goals
    ]
    return _table(["goal", "", "target", "measured", "met"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(values: list[float] | None) -> str:
    if not values:
        return ""
    median, below, above = spread(values)
    return f"{_short(median)} ({_short(median - below)}-{_short(median + above)})"


def _short(value: float) -> str:
    """Three significant digits, and never an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"

"""The figures as SVG: bars of the medians, with their spread."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.figures import Figures
from benchmarks.goals import RUN_LOCAL, RUN_REMOTE
from benchmarks.tables import COLUMNS

PLOTS = {
    "batch": ("b_seconds", "less is better"),
    "throughput": ("d_requests_per_second", "more is better"),
    "latency": ("d_p99_ms", "less is better"),
    "held": ("g_p99_ms", "less is better"),
}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """A file for each figure that was measured."""
    mpl.rcParams["svg.hashsalt"] = "fibonacci"  # the same figures make the same file
    return [_bars(figures, name, folder) for name, (figure, _) in PLOTS.items() if figures.rounds.get(figure)]


def _bars(figures: Figures, name: str, folder: Path) -> Path:
    figure, hint = PLOTS[name]
    rounds = {p: v for p, v in figures.rounds[figure].items() if p not in (RUN_LOCAL, RUN_REMOTE)}
    medians = {peer: figures.medians(figure)[peer] for peer in rounds}
    peers = sorted(medians, key=lambda peer: medians[peer], reverse=hint.startswith("less"))
    spread = [[medians[p] - min(rounds[p]) for p in peers], [max(rounds[p]) - medians[p] for p in peers]]
    colours = ["tab:orange" if peer.startswith("service") else "tab:blue" for peer in peers]
    page = Figure(figsize=(8, 0.8 + 0.4 * len(peers)), layout="constrained")
    axes = page.subplots()
    bars = axes.barh(peers, [medians[p] for p in peers], xerr=spread, color=colours, ecolor="0.3", capsize=3)
    axes.bar_label(bars, fmt="{:,.4g}", padding=6)
    axes.set_title(f"{COLUMNS[figure]} ({hint})")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    path = folder / f"{name}.svg"
    page.savefig(path, metadata={"Date": None})
    return path

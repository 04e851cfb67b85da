"""The figures as SVG: bars of the medians, the speed-up over the size of one sequence, percentiles of latency."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.figures import Figures, one_sequence_speedups, spread
from benchmarks.goals import RUN_LOCAL, RUN_REMOTE
from benchmarks.tables import COLUMNS

BARS = {
    "batch": ("b_seconds", "less is better"),
    "throughput": ("d_requests_per_second", "more is better"),
}
LATENCIES = {
    "d": "(d) 32 connections, closed loop",
    "e": "(e) half of that rate, open loop",
    "g": "(g) while a long job holds the pool",
}
PERCENTILES = {"p50_ms": ("p50", "o"), "p99_ms": ("p99", "s"), "p999_ms": ("p99.9", "^")}
OURS, THEIRS = "tab:orange", "tab:blue"


def draw(figures: Figures, folder: Path) -> list[Path]:
    """A file for each plot for which something was measured."""
    mpl.rcParams["svg.hashsalt"] = "fibonacci"  # the same figures make the same file
    pages = {name: _bars(figures, *what) for name, what in BARS.items() if figures.rounds.get(what[0])}
    if speedups := one_sequence_speedups(figures):
        pages["speedup"] = _speedup(speedups)
    if letters := [letter for letter in LATENCIES if figures.rounds.get(f"{letter}_p50_ms")]:
        pages["latency"] = _latency(figures, letters)
    paths = [folder / f"{name}.svg" for name in pages]
    for path, page in zip(paths, pages.values(), strict=True):
        page.savefig(path, metadata={"Date": None})
    return paths


def _bars(figures: Figures, figure: str, hint: str) -> Figure:
    rounds = {p: v for p, v in figures.rounds[figure].items() if p not in (RUN_LOCAL, RUN_REMOTE)}
    medians = {peer: figures.medians(figure)[peer] for peer in rounds}
    peers = sorted(medians, key=lambda peer: medians[peer], reverse=hint.startswith("less"))
    spread = [[medians[p] - min(rounds[p]) for p in peers], [max(rounds[p]) - medians[p] for p in peers]]
    page = Figure(figsize=(8, 0.8 + 0.4 * len(peers)), layout="constrained")
    axes = page.subplots()
    colours = [_colour(peer) for peer in peers]
    bars = axes.barh(peers, [medians[p] for p in peers], xerr=spread, color=colours, ecolor="0.3", capsize=3)
    axes.bar_label(bars, fmt="{:,.4g}", padding=6)
    axes.set_title(f"{COLUMNS[figure]} ({hint})")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    return page


def _speedup(speedups: dict[str, dict[int, list[float]]]) -> Figure:
    page = Figure(figsize=(8, 4), layout="constrained")
    axes = page.subplots()
    for peer, by_size in speedups.items():
        sizes = sorted(by_size)
        medians, below, above = zip(*(spread(by_size[size]) for size in sizes), strict=True)
        style = "--" if "actor calls" in peer else "-"
        axes.errorbar(
            sizes, medians, yerr=[below, above], label=peer, color=_colour(peer), ls=style, marker="o", capsize=3
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.axhline(1, color="0.7", lw=1)
    axes.set_xlabel("terms of one sequence")
    axes.set_title("speed-up of one sequence, distributed over local (more is better)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return page


def _latency(figures: Figures, letters: list[str]) -> Figure:
    """A panel for each load, a row for each peer, a mark for each percentile; milliseconds, logarithmic."""
    peers = sorted({p for letter in letters for p in figures.rounds.get(f"{letter}_p50_ms", {})}, reverse=True)
    page = Figure(figsize=(11, 1.6 + 0.35 * len(peers)), layout="constrained")
    panels: Any = page.subplots(1, len(letters), sharey=True, squeeze=False)[0]
    for axes, letter in zip(panels, letters, strict=True):
        for percentile, (label, marker) in PERCENTILES.items():
            medians = figures.medians(f"{letter}_{percentile}")
            rows = [row for row, peer in enumerate(peers) if peer in medians]
            colours = [_colour(peers[row]) for row in rows]
            axes.scatter([medians[peers[row]] for row in rows], rows, marker=marker, c=colours)
            axes.scatter([], [], marker=marker, c="0.4", label=label)
        axes.set_xscale("log")
        axes.set_title(LATENCIES[letter], fontsize="medium")
        axes.set_xlabel("ms (less is better)")
        axes.grid(axis="y", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(peers)), peers)
    panels[0].legend(frameon=False, loc="best")
    return page


def _colour(peer: str) -> str:
    return OURS if peer.startswith("service") else THEIRS

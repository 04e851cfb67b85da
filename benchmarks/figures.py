"""What was measured: every round of every figure of every peer, their medians and their spread."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

LOOP = "in-process loop"
"""The peer that distributes nothing: speed-ups are over it."""


@dataclass
class Figures:
    """``rounds[figure][peer]`` are the values in the order in which they were measured."""

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, peer: str, values: Mapping[str, float]) -> None:
        for figure, value in values.items():
            self.rounds.setdefault(figure, {}).setdefault(peer, []).append(value)

    def median(self, figure: str, peer: str) -> float | None:
        """None if it was not measured."""
        values = self.rounds.get(figure, {}).get(peer)
        return statistics.median(values) if values else None

    def medians(self, figure: str) -> dict[str, float]:
        return {peer: statistics.median(values) for peer, values in self.rounds.get(figure, {}).items()}


def spread(values: list[float]) -> tuple[float, float, float]:
    """The median, and how far the least value is below it and the greatest above: in tables and plots alike."""
    median = statistics.median(values)
    return median, median - min(values), max(values) - median


def one_sequence_speedups(figures: Figures) -> dict[str, dict[int, list[float]]]:
    """Peer -> terms -> (s)'s speed-ups: the service's from ``compare``, others' over the in-process loop's median."""
    speedups: dict[str, dict[int, list[float]]] = {}
    for figure, rounds in figures.rounds.items():
        name, _, size = figure.rpartition("_")
        for peer, values in rounds.items():
            if name == "s_speedup":
                speedups.setdefault(peer, {})[int(size)] = values
            elif name == "s_seconds" and peer != LOOP and (loop := figures.median(figure, LOOP)):
                speedups.setdefault(peer, {})[int(size)] = [loop / seconds for seconds in values]
    return speedups

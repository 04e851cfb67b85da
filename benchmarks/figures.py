"""What was measured: every round of every figure of every peer, their medians and their spread."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field


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


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile: the least value that at least ``percent`` % of them do not exceed."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]

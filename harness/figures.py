"""Figures from measurements."""


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile: the least value that at least ``percent`` % of them do not exceed."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]

"""How long fair sharing takes: jobs take turns, each getting as much as the others until it is done."""

from collections.abc import Collection


def seconds_ahead(remaining: Collection[float], seconds: float) -> float:
    """How much of jobs with these ``remaining`` seconds is served before a newcomer of ``seconds`` is finished."""
    return sum(min(rest, seconds) for rest in remaining)


def service_until(remaining: Collection[float], seconds: float, allowed_seconds: float) -> float:
    """Seconds of service that the jobs get in all until ``seconds_ahead`` has come down to ``allowed_seconds``.

    While each gets ``turn`` seconds, a job counts less and less from when it has ``seconds`` left until it is done.
    So what is ahead falls along straight lines between these moments. O(n log n).
    """
    ahead, turn, slope = seconds_ahead(remaining, seconds), 0.0, 0
    begins = [(max(0.0, rest - seconds), 1) for rest in remaining]
    for moment, change in sorted(begins + [(rest, -1) for rest in remaining]):
        if ahead - slope * (moment - turn) <= allowed_seconds:
            turn += (ahead - allowed_seconds) / slope if slope else 0.0
            break
        ahead -= slope * (moment - turn)
        turn = moment
        slope += change
    return seconds_ahead(remaining, turn)

"""Jobs that take turns: how much is ahead of a newcomer, and how long until it is little enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.queue.sharing import seconds_ahead, service_until

SECONDS = st.floats(0.001, 1_000)
JOBS = st.lists(SECONDS, max_size=30)


def after(remaining: list[float], turn: float) -> list[float]:
    """What is left of each job when each has had ``turn`` seconds."""
    return [max(0.0, rest - turn) for rest in remaining]


@pytest.mark.parametrize(
    ("remaining", "seconds", "allowed", "expected"),
    [
        ([], 5.0, 0.0, 0.0),
        ([10.0], 5.0, 5.0, 0.0),  # it is little enough
        ([5.0, 5.0], 5.0, 8.0, 2.0),  # what is served comes off at once
        ([40.0], 20.0, 10.0, 30.0),  # a long job counts as before until it is shorter than the newcomer
        ([40.0, 40.0], 20.0, 40.0, 0.0),
        ([40.0, 1.0], 20.0, 20.0, 2.0),  # the short one goes first, the long one gets as much
        ([40.0, 3.0, 3.0], 20.0, 0.0, 46.0),
    ],
)
def test_service_until_little_enough_is_ahead(
    remaining: list[float], seconds: float, allowed: float, expected: float
) -> None:
    assert service_until(remaining, seconds, allowed) == pytest.approx(expected)


@given(JOBS, SECONDS, SECONDS)
def test_after_that_service_exactly_as_much_as_is_allowed_is_ahead(
    remaining: list[float], seconds: float, allowed: float
) -> None:
    service = service_until(remaining, seconds, allowed)
    low, high = 0.0, 1_000.0  # the turn that is that much service, by bisection
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if seconds_ahead(remaining, middle) < service else (low, middle)
    before = seconds_ahead(remaining, seconds)
    assert seconds_ahead(after(remaining, high), seconds) == pytest.approx(min(before, allowed), rel=1e-6, abs=1e-6)

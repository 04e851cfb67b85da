"""Quick rows of `make chaos`, shortened: the same functions on the real service. CI's selection of rows lacks them."""

import pytest

from chaos.outcome import Outcome
from chaos.rows import leaving, serving, timing
from chaos.stage import Capacity, Stage
from harness.service import Service

LIGHT = Capacity(peak_per_second=20, peak_cost=1, undisturbed_p50=0.1, undisturbed_p99=1, peak_cpus=1)
"""Not measured: a load that two cores carry beside the tests."""


@pytest.fixture
def stage(service: Service) -> Stage:
    return Stage(service, 2, LIGHT)


def assert_kept(outcome: Outcome) -> None:
    assert not [str(check) for check in outcome.broken], outcome.notes


def test_a_killed_controller_is_invisible_to_callers(stage: Stage) -> None:
    assert_kept(serving.controller_killed(stage, seconds=5))


def test_callers_that_leave_at_random_moments_leak_nothing(stage: Stage) -> None:
    assert_kept(leaving.callers_leave(stage, callers=200, full_speed=None))


def test_serves_own_headers_do_not_move_a_deadline(stage: Stage) -> None:
    assert_kept(timing.deadlines(stage, repeats=1))

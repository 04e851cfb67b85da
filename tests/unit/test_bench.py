"""The benchmark's statistics, goals and tables."""

import pytest

from benchmarks.figures import Figures, percentile
from benchmarks.goals import FASTAPI, IN_PROCESS, SERVICE, goals
from benchmarks.tables import figures_table, goals_table, report


def measured() -> Figures:
    figures = Figures()
    for seconds in (0.70, 0.72, 0.90):
        figures.add(SERVICE, {"b_seconds": seconds})
    figures.add(IN_PROCESS, {"b_seconds": 1.44})
    figures.add("Ray tasks", {"b_seconds": 0.80})
    figures.add(SERVICE, {"d_requests_per_second": 1500.0})
    figures.add(FASTAPI, {"d_requests_per_second": 2000.0})
    return figures


def test_the_median_is_over_all_rounds_of_a_peer() -> None:
    assert measured().median("b_seconds", SERVICE) == 0.72
    assert measured().medians("b_seconds") == {SERVICE: 0.72, IN_PROCESS: 1.44, "Ray tasks": 0.80}


def test_what_was_not_measured_has_no_median() -> None:
    assert measured().median("b_seconds", "nobody") is None
    assert measured().median("nothing", SERVICE) is None


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100), (0, 1)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(percent: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_goals_compare_with_the_best_peer_and_the_loop() -> None:
    by_text = {goal.text: goal for goal in goals(measured(), cpus=2)}

    against_best = by_text["(b) wall time / best peer with the same kernel, as shipped"]
    efficiency = by_text["(b) parallel efficiency over the loop, as shipped"]
    throughput = by_text["(d) requests/s / FastAPI's, as shipped"]

    assert against_best.value == pytest.approx(0.9)
    assert efficiency.value == pytest.approx(1.0)
    assert throughput.value == pytest.approx(0.75)
    assert [against_best.met, efficiency.met, throughput.met] == [True, True, False]


def test_a_goal_whose_figures_are_missing_is_neither_met_nor_missed() -> None:
    goal = next(goal for goal in goals(Figures(), cpus=2) if goal.number == 2)

    assert goal.value is None
    assert goal.met is None
    assert goals_table([goal]).endswith("|  | not measured |")


def test_a_cell_has_the_median_and_the_spread() -> None:
    table = figures_table(measured(), ("b_seconds", "d_requests_per_second"))

    assert "| service | 0.720 (0.700-0.900) | 1,500 (1,500-1,500) |" in table.splitlines()
    assert "| Ray tasks | 0.800 (0.800-0.800) |  |" in table.splitlines()


def test_the_report_says_what_was_left_out() -> None:
    page = report(measured(), goals(measured(), cpus=2), {"machine": "two cores"}, ["(d): wrk is missing"])

    assert "- machine: two cores" in page
    assert page.endswith("## Left out\n\n- (d): wrk is missing\n")

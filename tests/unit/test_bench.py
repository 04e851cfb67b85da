"""The benchmark's statistics, goals and tables."""

import dataclasses
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory, needs, run
from benchmarks.about import about
from benchmarks.figures import Figures, one_sequence_speedups, spread
from benchmarks.goals import FASTAPI, IN_PROCESS, SERVICE, goals, simulation_goals
from benchmarks.needs import Need, OwnEnvironment, missing
from benchmarks.tables import figures_table, goals_table, report, speedup_table
from benchmarks.visits import LEFT_OUT, PEERS, all_visits
from benchmarks.workloads import FULL, QUICK
from harness.figures import percentile


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


def test_the_speedup_of_one_sequence_is_the_services_own_and_others_over_the_loop() -> None:
    figures = measured()
    figures.add(SERVICE, {"s_speedup_1000": 0.5})
    figures.add(IN_PROCESS, {"s_seconds_1000": 0.002})
    figures.add("ProcessPoolExecutor", {"s_seconds_1000": 0.008})

    assert one_sequence_speedups(figures) == {SERVICE: {1000: [0.5]}, "ProcessPoolExecutor": {1000: [0.25]}}
    assert "| 1,000 | 0.500 (0.500-0.500) | 0.250 (0.250-0.250) |" in speedup_table(figures).splitlines()


def test_every_goal_is_given_as_shipped_and_with_actor_calls() -> None:
    texts = [goal.text for goal in goals(measured(), cpus=2)]

    assert len(texts) == len(set(texts))
    assert {text.removesuffix(", as shipped") for text in texts if text.endswith(", as shipped")} == {
        text.removesuffix(", actor calls") for text in texts if text.endswith(", actor calls")
    }


def test_the_simulations_goals_are_of_its_best_number_of_ingresses_and_of_many_jobs_waiting() -> None:
    runs = [{"num_workers": 1_000, "efficiency": 0.85}, {"num_workers": 1_000, "efficiency": 0.96}]
    simulation = {
        "runs": [*runs, {"num_workers": 10, "efficiency": 0.99}],
        "waiting": [
            {"num_waiting": 196, "batch_microseconds": 150.0},
            {"num_waiting": 10_000, "batch_microseconds": 90.0},
            {"num_waiting": 19_996, "batch_microseconds": 120.0},
        ],
    }

    assert [(goal.value, goal.met) for goal in simulation_goals(simulation)] == [(0.96, True), (120.0, False)]
    assert [goal.met for goal in simulation_goals(None)] == [None, None]


def test_the_report_does_not_tell_which_build_of_the_kernel_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "6.18.44-build-445")
    assert about(QUICK, 1.0)["machine"].endswith(f"{platform.system()} 6.18")


def test_what_is_not_visited_is_named_with_its_reason() -> None:
    visits, notes = all_visits(QUICK, everyone=False)

    assert "service, actor calls" not in visits
    assert "service, actor calls: a quick run has no time for it" in notes
    assert "Spark, local mode: comes with PEERS=all" in notes


def test_a_full_run_of_everyone_leaves_out_only_what_is_not_installed() -> None:
    visits, notes = all_visits(FULL, everyone=True)
    missing_lines = [line for peer in PEERS if (line := missing(peer.needs))]

    assert len(visits) + len(missing_lines) == len(PEERS)
    assert [note.partition(": ")[2] for note in notes[len(LEFT_OUT) :]] == missing_lines


def test_a_missing_program_is_named_with_its_package() -> None:
    need = Need("no-such-program", "its-package")

    assert missing((need,)) == "no-such-program is missing (Debian: apt install its-package)"
    assert missing((Need("sh", "dash"),)) is None


def test_an_environment_of_its_own_that_lacks_its_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "ENVIRONMENTS", tmp_path)
    own = OwnEnvironment("bench-other", "other")
    assert missing((own,)) == "other could not be installed in .venv/bench-other"

    metadata = tmp_path / "bench-other/lib/python3.13/site-packages/other-2.0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")

    assert missing((own,)) is None
    assert own.version == "other 2.0"


def test_the_largest_sequence_is_for_the_first_visits_only() -> None:
    effort = dataclasses.replace(FULL, largest_one_sequence=10_000, huge_visits=2)

    assert effort.one_sequence_sizes(2) == [1_000, 10_000, 3_000_000]
    assert effort.one_sequence_sizes(3) == [1_000, 10_000]


def test_memory_that_was_held_for_a_moment_shows_in_the_growth() -> None:
    before = memory.watch()
    held = bytearray(50_000_000)
    held[::4096] = b"x" * len(held[::4096])
    del held

    assert 40 < memory.growth(before) < 80


def test_a_broken_off_run_goes_on_after_its_last_round(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.json"
    path.write_text(json.dumps({"rounds": measured().rounds, "done": 3, "seconds": 7.0, "failures": ["x FAILED"]}))

    assert run.begin(path, resume=True) == (measured(), 3, 7.0, ["x FAILED"])
    assert run.begin(path, resume=False) == (Figures(), 0, 0.0, [])


def test_the_median_of_an_even_number_of_rounds_is_the_mean_of_the_middle_two() -> None:
    assert spread([10.0, 1.0, 2.0, 3.0]) == (2.5, 1.5, 7.5)


def test_every_plot_is_drawn_from_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with `make bench`")
    from benchmarks.plots import draw

    figures = measured()
    figures.add(SERVICE, {"s_speedup_1000": 0.5, "e_p50_ms": 2.0, "e_p99_ms": 9.0, "e_p999_ms": 20.0})

    names = [path.name for path in draw(figures, tmp_path)]

    assert names == ["batch.svg", "throughput.svg", "speedup.svg", "latency.svg"]
    assert all("</svg>" in (tmp_path / name).read_text() for name in names)


def test_memory_that_is_shared_counts_once() -> None:
    own = memory.proportional_megabytes([os.getpid()])
    assert 10 < own < 2_000
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert own < memory.proportional_megabytes([os.getpid(), other.pid]) < own + 200
    assert memory.proportional_megabytes([other.pid]) == 0.0


def test_small_jobs_have_goals_and_columns_for_each_size() -> None:
    figures = measured()
    for peer, rate in ((SERVICE, 200.0), (FASTAPI, 250.0)):
        figures.add(peer, {"i_60000_32_requests_per_second": rate, "i_60000_open_p99_ms": 12.0})
    by_text = {goal.text: goal for goal in goals(figures, cpus=2)}
    goal = by_text["(i) 60,000 terms: requests/s / FastAPI's, as shipped"]
    assert (goal.value, goal.met) == (0.8, False)
    page = report(figures, [], {}, [])
    assert "(i) 60,000 terms, 32 connections: requests/s" in page
    assert "12.0 (12.0-12.0)" in page

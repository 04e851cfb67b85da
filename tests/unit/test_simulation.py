"""The simulation of ``make simulate``: what it must come to where that is known."""

import asyncio
import json
import logging
import threading
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

import benchmarks.simulate
from app.compute import thread
from app.compute.slices import SLICE_SECONDS
from app.compute.thread import Results
from app.job import Batch, Segment
from app.queue.lanes import GATHERED_SECONDS
from benchmarks.simulation.ingress import SimulatedIngress
from benchmarks.simulation.parameters import Parameters
from benchmarks.simulation.report import goals, verdict
from benchmarks.simulation.run import Outcome, simulate
from benchmarks.simulation.waiting import dispatch_while_waiting
from harness.simulated_worker import SimulatedWorker
from harness.virtual_time import run_virtually
from tests.tasks import segment


def test_one_worker_without_overhead_is_always_busy() -> None:
    outcome = simulate(Parameters(num_workers=1, dispatch_seconds=0, latency_seconds=0, jitter_seconds=0))
    assert outcome.efficiency == pytest.approx(1.0, abs=0.01)


def test_one_long_sequence_is_cut_over_the_whole_pool() -> None:
    """At half a millisecond a batch of one event loop no more than 0.40 can be had."""
    outcome = simulate(Parameters(sequence_terms=10_000_000, seconds_per_worker=0.0))
    assert (outcome.num_workers, outcome.num_late) == (1_000, 0)
    assert outcome.efficiency >= 0.35


def test_nothing_is_late_before_everything_is_on_its_way_to_a_large_pool() -> None:
    """Sending to all takes longer than a batch may, but meanwhile the event loop stands still, and its timer too."""
    outcome = simulate(Parameters(num_workers=1_000, num_ingresses=2, dispatch_seconds=0.005))
    assert outcome.num_late == 0


def test_a_serial_dispatch_bounds_the_throughput() -> None:
    async def main() -> float:
        workers = {f"w{i}": SimulatedWorker(f"w{i}") for i in range(100)}
        parameters = Parameters(dispatch_seconds=0.05, latency_seconds=0, jitter_seconds=0)
        ingress = SimulatedIngress(parameters, workers, seed=1)
        await asyncio.gather(*(ingress.run_batch(worker_id, Batch((segment(0, 10),))) for worker_id in workers))
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(100 * 0.05, rel=0.01)


def timeline(*batches: tuple[float, float], slowness: float = 1.0) -> list[float]:
    """When batches that come to one worker at (moment, seconds) are computed."""

    async def batch(worker: SimulatedWorker, moment: float, seconds: float) -> float:
        await asyncio.sleep(moment)
        await worker.compute(seconds, short=seconds <= GATHERED_SECONDS)
        return asyncio.get_running_loop().time()

    async def main() -> list[float]:
        worker = SimulatedWorker("w", slowness)
        return await asyncio.gather(*(batch(worker, *one) for one in batches))

    return [round(moment, 6) for moment in run_virtually(main())]


@pytest.mark.parametrize(
    ("batches", "ends"),
    [
        ([(0, 0.2), (0, 0.2)], [0.21, 0.4]),
        ([(0, 1.0), (0.005, 0.001)], [1.001, 0.021]),
        ([(0, 600.0), (3.0, 0.2)], [600.2, 3.45]),
        ([(0, 3.0), (0, 3.0)], [5.76, 6.0]),
    ],
    ids=["first come, first served", "a short one after a slice", "a long job rotates", "long ones rotate"],
)
def test_batches_share_a_worker_as_in_the_compute_thread(batches: list[tuple[float, float]], ends: list[float]) -> None:
    assert timeline(*batches) == ends


def test_a_simulated_worker_takes_the_turns_of_the_real_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same batches, all there from the start: they end in the same order, after as many slices."""
    num_slices = [230, 3, 260, 1, 40, 212]
    both_wait = threading.Event()
    taken: list[int] = []
    ends: dict[int, int] = {}

    def slices(segments: Sequence[Segment]) -> Generator[None, None, Results]:
        number = segments[0].start
        both_wait.wait(20.0)
        for left in range(num_slices[number] - 1, -1, -1):
            taken.append(number)
            if left:
                yield
        ends[number] = len(taken)
        return ()

    async def main() -> None:
        computing = thread.ComputeThread()
        runs = [
            asyncio.create_task(computing.run([segment(number, 10)], short=count * SLICE_SECONDS <= GATHERED_SECONDS))
            for number, count in enumerate(num_slices)
        ]
        await asyncio.sleep(0)
        both_wait.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*runs)

    monkeypatch.setattr(thread, "compute", slices)
    asyncio.run(main())
    simulated = timeline(*((0.0, count * SLICE_SECONDS) for count in num_slices))
    assert [round(end / SLICE_SECONDS) for end in simulated] == [ends[number] for number in range(len(num_slices))]


def test_a_slow_worker_takes_longer() -> None:
    assert timeline((0, 1.0), slowness=3.0) == [3.0]


def test_a_cancelled_batch_leaves_the_worker_to_the_others() -> None:
    async def main() -> float:
        worker = SimulatedWorker("w")
        long = asyncio.create_task(worker.compute(600.0))
        other = asyncio.create_task(worker.compute(0.1))
        await asyncio.sleep(0.005)
        long.cancel()
        await other
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(0.11)


def test_deaths_lose_no_job() -> None:
    outcome = simulate(Parameters(num_workers=20, num_ingresses=2, seconds_per_worker=2, death_share=0.2))
    assert outcome.num_lost > 0
    assert 0 < outcome.efficiency < 1


def test_stragglers_cost_efficiency() -> None:
    even, uneven = (simulate(Parameters(num_workers=20, straggler_share=share)) for share in (0.0, 0.1))
    assert even.efficiency > uneven.efficiency > 0.8


def test_jitter_costs_efficiency() -> None:
    calm, wild = (simulate(Parameters(num_workers=20, jitter_seconds=seconds)) for seconds in (0.0, 0.5))
    assert calm.efficiency > wild.efficiency > 0


def test_one_sequence_is_spread_over_the_pool() -> None:
    outcome = simulate(Parameters(num_workers=20, seconds_per_worker=0, sequence_terms=10_000_000))
    assert outcome.workers_used == 20
    assert outcome.efficiency > 0.5


def test_what_waits_for_other_ingresses_is_not_computed_twice() -> None:
    outcome = simulate(Parameters(num_workers=200, num_ingresses=8, dispatch_seconds=0.005))
    assert outcome.num_late == 0


def test_the_same_seed_gives_the_same_run() -> None:
    first, again = (simulate(Parameters(num_workers=20, seconds_per_worker=2, death_share=0.1)) for _ in range(2))
    assert (first.total_seconds, first.num_batches) == (again.total_seconds, again.num_batches)


def test_the_dispatcher_is_metered_while_jobs_wait() -> None:
    waiting = dispatch_while_waiting(Parameters(), (100_000, 10), 100)
    assert 90 < waiting.num_waiting < 200
    assert waiting.num_batches > 100
    assert 1 < waiting.batch_microseconds < 10_000


def outcome_of(num_workers: int, num_ingresses: int, efficiency: float) -> Outcome:
    return Outcome(num_workers, num_ingresses, efficiency, 1.0, 0.1, num_workers, 9, 0, 0, 0.5, 50.0, 100.0)


def test_the_verdict_names_the_largest_pool_that_is_served_and_what_more_ingresses_do() -> None:
    runs = [outcome_of(100, 1, 0.97), outcome_of(1_000, 1, 0.9), outcome_of(1_000, 2, 0.96)]
    assert verdict(runs) == (
        "One ingress is enough up to 100 workers (efficiency 0.95 or more). At 1,000: 0.900 with 1, 0.960 with 2."
    )
    assert verdict(runs[:1]) == "One ingress is enough throughout: the efficiency is 0.95 or more."


def test_the_goals_stand_beside_their_figures() -> None:
    assert goals([outcome_of(1_000, 1, 0.9)], {10_000: 80.0}) == [
        "goal: efficiency at 1,000 workers >= 0.95; ingresses 1: 0.900",
        "goal: dispatcher < 100 us a batch; 10,000 jobs waiting: 80",
    ]


def test_the_command_writes_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--workers", "1", "4", "--ingresses", "1", "2", "--no-variations", "--waiting-jobs", "10"]
    monkeypatch.setattr("sys.argv", ["simulate", *options, "--results", str(tmp_path)])
    monkeypatch.setattr(benchmarks.simulate, "draw", lambda *_: None)  # matplotlib is not there under test
    monkeypatch.setattr(logging, "disable", lambda *_: None)
    assert benchmarks.simulate.main() == 0
    written = json.loads((tmp_path / "simulate.json").read_text())
    assert [(run["num_workers"], run["num_ingresses"]) for run in written["runs"]] == [(1, 1), (1, 2), (4, 1), (4, 2)]
    assert (tmp_path / "simulate.md").read_text() == capsys.readouterr().out


def test_the_parameters_can_be_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["simulate", "--help"])
    with pytest.raises(SystemExit, match="0"):
        benchmarks.simulate.main()
    told = capsys.readouterr().out
    assert "--dispatch-seconds" in told
    assert "2 % of the workers die" in told

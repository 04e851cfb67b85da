"""What `make chaos` calls wrong, lost, twice and broken."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from app.kernels.fibonacci.terms import TermGenerator
from chaos import run
from chaos.jobs import GREATEST_SIZE, LEAST_SIZE, JobSpec, digest, mixed_jobs, true_digest, true_last_term
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import Record, Request
from chaos.registry import CI_ROWS, ROWS, Row, to_stop
from chaos.rows import pausing, serving, workers
from chaos.run import run_row
from chaos.stage import Capacity, Stage, staged
from chaos.table import table, with_table

ROOT = Path(__file__).parents[2]


def answer(job: JobSpec, job_id: str = "a") -> dict[str, Any]:
    generator = TermGenerator(0, job.sequence_size)
    while not generator.done:
        generator.advance()
    last = generator.last_term()
    assert last is not None
    return {
        "job_id": job_id,
        "sizes": [job.sequence_size] * job.num_sequences,
        "last_term": {
            "index": last.index,
            "num_digits": last.num_digits,
            "bit_length": last.bit_length,
            "sha256": last.sha256,
        },
        "verification": {"num_recomputed": 0},
        "batches": [{"attempts": 1, "compute_seconds": 0.5}],
    }


def request(number: int, job_id: str = "", due: float = 0.0) -> Request:
    """Answered, if it is given a job id."""
    made = Request(number, JobSpec(1_000, 2), due)
    made.ended = due + 0.5
    if job_id:
        made.answered(200, {}, answer(made.job, job_id))
    return made


@pytest.mark.parametrize("sequence_size", [1, 2, 3, 93, 94, 1_000, 30_000])
def test_the_truth_is_what_the_kernel_generates(sequence_size: int) -> None:
    job = JobSpec(sequence_size, 3)
    assert digest(answer(job)) == true_digest(job)


def test_any_deviation_is_wrong() -> None:
    job = JobSpec(1_000, 2)
    right = answer(job)
    assert digest(right | {"sizes": [1_000]}) != true_digest(job)
    assert digest(right | {"sizes": [999] * 2}) != true_digest(JobSpec(999, 2))
    for name, value in right["last_term"].items():
        changed = right["last_term"] | {name: value + ("0" if name == "sha256" else 1)}
        assert digest(right | {"last_term": changed}) != true_digest(job)


def test_mixed_jobs_fill_their_ranges_evenly() -> None:
    jobs = list(itertools.islice(mixed_jobs(), 400))
    sizes = sorted(job.sequence_size for job in jobs)
    assert sizes[0] >= LEAST_SIZE
    assert sizes[-1] <= GREATEST_SIZE
    assert 1_500 < sizes[200] < 2_000  # half of the orders of magnitude
    assert {job.num_sequences for job in jobs} == {1, 2, 3, 4}
    halves = [sum(job.cost for job in half) for half in (jobs[:200], jobs[200:])]
    assert halves[0] == pytest.approx(halves[1], rel=0.15)


def test_a_record_without_fault_has_none() -> None:
    record = Record([request(n, f"id {n}") for n in range(3)])
    assert (record.num_wrong, record.failures) == (0, [])
    outcome = outcome_of(record, Check("kills", 3))
    assert (outcome.broken, outcome.told) == ([], ["kills 3"])


def test_wrong_lost_and_repeated_answers_are_counted() -> None:
    wrong, twice, lost = request(0, "a"), request(1, "b"), request(2)
    wrong.digest = digest(answer(JobSpec(999, 2)))
    twice.answered(200, {}, answer(twice.job, "b"))
    assert Record([wrong]).num_wrong == 1
    assert Record([twice]).num_wrong == 1
    assert Record([lost]).num_wrong == 1
    assert Record([request(0, "same"), request(1, "same")]).num_wrong == 1


def test_a_failure_breaks_the_promise_and_is_explained() -> None:
    refused, reset = request(0), request(1)
    refused.answered(429, {"retry-after": "7"}, None)
    reset.failed("ConnectionResetError")
    outcome = outcome_of(Record([refused, reset, request(2, "a")]))
    assert refused.retry_after == 7
    assert (outcome.requests, outcome.failed, outcome.wrong) == (3, 2, 0)
    assert [check.what for check in outcome.broken] == ["failed"]
    assert outcome.told == ["failed 2 (<= 0)", "1 x status 429, 1 x ConnectionResetError"]
    assert not outcome_of(Record([refused, request(2, "a")]), may_fail=None).broken


@pytest.mark.parametrize(("sign", "kept"), [("<=", [1, 2]), (">=", [2, 3]), ("=", [2])])
def test_a_check_compares_with_its_bound(sign: str, kept: list[int]) -> None:
    assert [seen for seen in (1, 2, 3) if Check("x", seen, 2, sign).met] == kept


def test_what_never_came_breaks_its_bound() -> None:
    check = Check("back after, s", float("inf"), 30)
    assert not check.met
    assert str(check) == "back after, s never (<= 30)"


FAST, LATE, NEVER, WRONG = (
    Check("back after, s", 1, 30),
    Check("back after, s", 31, 30),
    Check("back after, s", float("inf"), 30),
    Check("wrong", 1, 0),
)


@pytest.mark.parametrize(
    ("goes", "kept", "told"),
    [
        ([[FAST]], True, []),
        ([[LATE], [FAST]], True, ["a second go; the first: back after, s 31 (<= 30)"]),
        ([[LATE], [LATE]], False, ["a second go; the first: back after, s 31 (<= 30)"]),
        ([[NEVER]], False, []),
        ([[LATE, WRONG]], False, []),
    ],
)
def test_only_a_row_that_was_slow_and_nothing_worse_has_a_second_go(
    goes: list[list[Check]], kept: bool, told: list[str]
) -> None:
    stage = mock.Mock(until=lambda *_: 0.0)
    stage.service.process.poll.return_value = None
    outcomes = iter([Outcome(checks=checks) for checks in goes])
    outcome = run_row(Row("late", "a fault", staged, lambda _: next(outcomes)), stage)
    assert (not outcome.broken, outcome.before) == (kept, told)
    assert next(outcomes, None) is None


@contextlib.contextmanager
def whole_stage() -> Iterator[mock.Mock]:
    """A stage on which nothing is amiss."""
    stage = mock.Mock(until=lambda *_: 0.0, capacity=None)
    stage.service.process.poll.return_value = None
    yield stage


def test_what_was_only_slow_or_not_come_to_can_be_run_again_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds: dict[str, Check | None] = {"dies": FAST, "lies": WRONG, "lags": LATE, "hangs": FAST}
    ran: list[str] = []

    def row(name: str) -> Row:
        def go(_: Stage) -> Outcome:
            ran.append(name)
            if (check := finds[name]) is None:
                raise KeyboardInterrupt
            return Outcome(checks=[check])

        return Row(name, "a fault", whole_stage, go)

    def ends_with(*arguments: str) -> int:
        ran.clear()
        monkeypatch.setattr("sys.argv", ["chaos", *arguments])
        return run.main()

    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(run, "ROWS", [row(name) for name in finds])
    assert (ends_with(), ran) == (1, ["dies", "lies", "lags", "lags", "hangs"])
    finds |= {"lies": FAST, "lags": FAST}
    assert (ends_with("--only", "broken"), ran) == (1, ["lags"])  # the lie stays one, though it would not be told again
    assert "run again; before: back after, s 31 (<= 30)" in (tmp_path / "local/chaos.md").read_text()
    assert (ends_with("--only", "broken"), ran) == (1, [])
    assert (ends_with("--only", "lies"), ran) == (0, ["lies"])
    assert (ends_with("--only", "broken"), ran) == (0, [])
    finds["lags"] = None
    with pytest.raises(KeyboardInterrupt):
        ends_with()
    finds["lags"] = FAST
    assert (ends_with("--only", "broken"), ran) == (0, ["lags", "hangs"])
    finds["lags"] = WRONG
    assert (ends_with(), ends_with("--only", "broken"), ran) == (1, 1, [])


def test_what_ci_leaves_out_is_not_run_again_as_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def row(name: str, check: Check) -> Row:
        def go(_: Stage) -> Outcome:
            ran.append(name)
            return Outcome(checks=[check])

        return Row(name, "a fault", whole_stage, go)

    def ends_with(*arguments: str) -> int:
        ran.clear()
        monkeypatch.setattr("sys.argv", ["chaos", *arguments])
        return run.main()

    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(run, "CI_ROWS", ("quick", "slow"))
    monkeypatch.setattr(run, "ROWS", [row("quick", FAST), row("slow", LATE), row("long", FAST)])
    assert (ends_with("--only", "ci"), ran) == (1, ["quick", "slow", "slow"])
    assert (ends_with("--only", "broken"), ran) == (1, ["slow", "slow"])
    assert (ends_with(), ran) == (1, ["quick", "slow", "slow", "long"])
    assert (ends_with("--only", "broken"), ran) == (1, ["slow", "slow"])
    with pytest.raises(SystemExit):
        ends_with("--only", "ci", "--record")


def test_ci_runs_rows_that_there_are_in_twenty_minutes() -> None:
    rows = [row for row in ROWS if row.name in CI_ROWS]
    assert len(rows) == len(CI_ROWS)
    recorded = json.loads((ROOT / "benchmarks/results/chaos.json").read_text())
    starts = len({row.start for row in rows if row.start != to_stop}) + sum(row.start == to_stop for row in rows)
    seconds = sum(recorded[row.name]["seconds"] for row in rows) + 40 * starts
    assert seconds < 20 * 60


def test_computing_for_nobody_is_no_matter_of_time() -> None:
    assert not Check("CPUs of workers busy with nothing", 1.0, 0.2).slow
    assert not Check("CPUs busy 0.5 s after the last left", 1.0, 0.2).slow


@pytest.fixture
def with_one_frozen(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """A stage for ``workers.frozen``, on which everything but the load is in order."""
    monkeypatch.setattr(workers, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(workers, "alive", lambda _: [])
    stage = mock.Mock(until=lambda *_: 1.0, num_workers=2, measured=Capacity(60, 1, 0.01, 0.3, 1.5))
    stage.workers.return_value = [mock.Mock()]
    stage.left_behind.return_value = []
    return stage


def broken_beside_a_frozen_worker(stage: mock.Mock, *seconds: float, size: int = 1_000) -> list[str]:
    """What is broken if jobs of that size are answered after so many seconds."""
    record = Record([request(number, f"id {number}") for number in range(len(seconds))])
    for made, taken in zip(record.requests, seconds, strict=True):
        made.job, made.ended, made.digest = JobSpec(size, 4), taken, None
    with mock.patch.object(workers, "open_loop", return_value=contextlib.nullcontext(record)):
        return [check.what for check in workers.frozen(stage).broken]


def test_no_small_job_is_held_up_by_a_frozen_worker(with_one_frozen: mock.Mock) -> None:
    assert broken_beside_a_frozen_worker(with_one_frozen, 0.1, 3.4) == []
    assert broken_beside_a_frozen_worker(with_one_frozen, 0.1, 3.6) == ["slowest small job, s"]


def test_a_large_job_beside_a_frozen_worker_is_late_at_most_once(with_one_frozen: mock.Mock) -> None:
    assert broken_beside_a_frozen_worker(with_one_frozen, 5.3, size=300_000) == []
    assert broken_beside_a_frozen_worker(with_one_frozen, 5.5, size=300_000) == ["slowest, s"]


def test_a_frozen_worker_that_is_not_ended_is_a_broken_promise(
    with_one_frozen: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "alive", lambda processes: processes)
    assert broken_beside_a_frozen_worker(with_one_frozen, 0.1) == ["frozen process ended"]


@pytest.fixture
def under_load(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """A stage for rows that kill a process under load; without the load, whose record is empty."""
    monkeypatch.setattr(serving, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(serving, "open_loop", lambda *_: contextlib.nullcontext(Record()))
    monkeypatch.setattr(serving, "alive", lambda processes: processes)
    stage = mock.Mock(until=lambda condition, _: 2.0 if condition() else float("inf"))
    stage.left_behind.return_value = []
    return stage


@pytest.mark.parametrize("row", [serving.controller_killed, serving.haproxy_killed, serving.proxy_killed])
def test_a_process_is_killed_and_another_comes_back_or_the_row_is_broken(
    under_load: mock.Mock, row: Callable[..., Outcome]
) -> None:
    victim, successor = mock.Mock(), mock.Mock()
    under_load.processes.side_effect = [[victim], [successor]]
    assert [check.what for check in row(under_load, seconds=0).broken] == []
    assert victim.kill.called
    under_load.processes.side_effect = [[victim], [victim]]  # it is still dying, and nothing follows
    never = row(under_load, seconds=0)
    assert ([check.what for check in never.broken], never.only_slow) == (["its process back after, s"], False)
    under_load.processes.side_effect = [[], [successor]]
    assert [check.what for check in row(under_load, seconds=0).broken] == ["killed"]


@pytest.mark.parametrize(
    ("after", "alive", "broken"),
    [
        (["launcher", "worker"], ["launcher", "worker"], []),
        (["launcher"], ["launcher"], ["processes that ended"]),
        (["launcher", "worker", "another"], ["launcher", "worker"], ["processes that are new"]),
    ],
)
def test_a_process_that_is_replaced_after_a_pause_is_a_broken_promise(
    after: list[str], alive: list[str], broken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([["launcher", "worker"], after])
    stage = mock.Mock(until=lambda *_: 1.0, url="http://x")
    stage.left_behind.return_value = []
    monkeypatch.setattr(pausing, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(pausing, "lasting", lambda _: next(found))
    monkeypatch.setattr(pausing, "title", str)
    monkeypatch.setattr(pausing, "alive", lambda _: alive)
    monkeypatch.setattr(pausing, "all_at_once", lambda *_: Record([request(0, "a")]))
    monkeypatch.setattr("httpx.Client.get", lambda *_: mock.Mock(status_code=200))
    outcome = pausing.paused(stage, 0.0, lambda _: contextlib.nullcontext())
    assert [check.what for check in outcome.broken] == broken


@pytest.mark.parametrize(
    ("due", "ended", "status", "broken"),
    [
        (9.0, 10.1, None, []),  # in flight when it was killed at 10
        (10.2, 10.3, 500, []),  # came while it died
        (9.0, 9.5, None, ["failed that ended before it"]),
        (10.55, 10.7, None, []),  # came before HAProxy knew
        (10.65, 10.7, None, ["failed that came after it"]),
        (9.0, 10.1, 429, ["failed but not cut off, nor 5xx"]),
    ],
)
def test_with_an_ingress_only_what_was_in_flight_on_it_fails(
    due: float, ended: float, status: int | None, broken: list[str]
) -> None:
    failed = request(1, due=due)
    failed.ended = ended
    if status is None:
        failed.failed("closed without an answer")
    else:
        failed.answered(status, {}, None)
    record = Record([request(0, "right", due=9.0), failed])
    checks = serving.in_flight_only(record, killed_at=10.0, dead_at=10.5)
    assert [check.what for check in checks if not check.met] == broken


def test_the_gap_is_between_successes() -> None:
    record = Record([request(n, f"id {n}", due=due) for n, due in enumerate((0.0, 1.0, 4.5, 5.0))])
    assert record.longest_gap == 3.5
    record.requests += [request(9, due=9.0)]
    assert record.longest_gap == 4.0


def test_the_table_tells_what_was_seen_and_kept() -> None:
    row = {
        "text": "nothing happens",
        "requests": 1200,
        "failed": 0,
        "wrong": 0,
        "p50_ms": 12.3,
        "p99_ms": 345.0,
        "slowest_ms": 0.0,
        "told": ["back after, s 3 (<= 30)", "steepest: gcs_server"],
        "promised": ["back after, s 3 (<= 30)"],
        "broken": [],
        "date": "2026-11-26T12:00+00:00",
    }
    page = table({"a": row, "b": row | {"broken": ["failed 1 (<= 0)"]}}).splitlines()
    assert (
        page[2]
        == "| nothing happens | 1,200 | 0 | 0 | 12 | 345 |  | back after, s 3 (<= 30); steepest: gcs_server | yes |"
    )
    assert page[3].endswith("| **no** |")
    assert table({"a": row | {"date": None}}).splitlines()[2].endswith("| not run yet |")


def test_the_page_has_a_short_table_and_a_list_of_the_promises() -> None:
    row: dict[str, Any] = {
        "text": "nothing happens", "requests": 1200, "failed": 0, "wrong": 0, "p99_ms": 345.0,
        "promised": ["back after, s 3 (<= 30)"] * 5, "broken": [], "date": "2026-11-26T12:00+00:00",
    }  # fmt: skip
    quiet = row | {"text": "it stops", "promised": []}
    page = with_table("before\n<!-- chaos: begin -->\nold\n<!-- chaos: end -->\nafter\n", {"a": row, "b": quiet})
    lines = page.splitlines()
    assert (lines[:2], lines[-2:]) == (["before", "<!-- chaos: begin -->"], ["<!-- chaos: end -->", "after"])
    assert lines[4:6] == ["| nothing happens | 1,200 | 0 | 0 | 345 | yes |", "| it stops | 1,200 | 0 | 0 | 345 | yes |"]
    assert " ".join(map(str.strip, lines[9:-3])) == "- nothing happens: " + "; ".join(row["promised"])
    assert max(map(len, lines)) <= 120


def test_true_terms_are_cached() -> None:
    assert true_last_term(10) is true_last_term(10)

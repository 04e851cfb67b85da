"""What the rows about durable jobs call computed again, and broken."""

import contextlib
import math
from collections.abc import Callable, Iterator
from unittest import mock

import pytest

from app.durable.records import State
from chaos import durable_jobs
from chaos.durable_jobs import computed_again, jobs_left
from chaos.history import Act, History, Seen
from chaos.jobs import JobSpec
from chaos.outcome import Outcome
from chaos.registry import ROWS
from chaos.rows import following, keeping

JOB = JobSpec(1_000, 1)


def told(units: int, resumed: int, state: State = State.RUNNING) -> Seen:
    return Seen("a", state, units, units / 1_000, 0.0, resumed)


def again(answers: list[Seen | None], *, resumed: bool, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the job, which was at 100 units when it was struck, is found to be computed again."""
    monkeypatch.setattr(durable_jobs, "LOOK_SECONDS", 0.0)
    following = iter(answers)
    load = mock.Mock(look=lambda *_: next(following, answers[-1]))
    return math.isfinite(computed_again(load, JOB, told(100, 0), 0.05, resumed=resumed))


@pytest.mark.parametrize(
    ("answers", "by_another", "by_anybody"),
    [
        ([None, None], False, False),
        ([told(100, 0), told(120, 0)], False, True),  # the old keeper had kept more than was told
        ([told(120, 0), None, told(120, 1)], False, False),
        ([None, told(120, 1), told(130, 1)], True, True),
        ([None, told(120, 1, State.SUCCEEDED)], True, True),
        ([told(120, 0, State.SUCCEEDED)], False, True),
    ],
)
def test_a_job_is_computed_again_when_more_of_it_is_kept(
    answers: list[Seen | None], by_another: bool, by_anybody: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert again(answers, resumed=True, monkeypatch=monkeypatch) == by_another
    assert again(answers, resumed=False, monkeypatch=monkeypatch) == by_anybody


@pytest.mark.parametrize(
    ("counts", "left"),
    [
        ({"available": True, "queued": 0, "running": 0, "finished": 9}, 0),
        ({"available": True, "queued": 1, "running": 2, "finished": 9}, 3),
        ({"available": False, "queued": 0, "running": 0}, math.inf),
        ({}, math.inf),
    ],
)
def test_jobs_left_behind_are_told(counts: dict[str, object], left: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_jobs, "durable_counts", lambda _: counts)
    stage = mock.Mock(until=lambda *_: 0.0)
    stage.left_behind.return_value = []
    assert [check.seen for check in jobs_left(stage)] == [left]


@contextlib.contextmanager
def clients(_: str, rate: float = 0.0) -> Iterator[mock.Mock]:
    """A load of five jobs that are all well."""
    history = History()
    for number in range(5):
        seen = Seen(f"{number}", State.CANCELLED, 0, 0.0, 0.0, 0)
        history.told(history.invoke(Act.SUBMIT, JOB, key=f"{rate} {number}"), 202, seen)
    yield mock.Mock(history=history)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """A stage on which a keeper is struck and replaced in time."""
    monkeypatch.setattr(keeping, "WATCHED_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "durable_load", clients)
    monkeypatch.setattr(keeping, "job_of", lambda *_: JOB)
    monkeypatch.setattr(keeping, "until_kept", lambda *_: told(1, 0))
    monkeypatch.setattr(keeping, "computed_again", lambda *_, **__: 20.0)
    monkeypatch.setattr(keeping, "jobs_left", lambda _: [])
    monkeypatch.setattr(keeping, "alive", lambda _: [])
    made = mock.Mock(until=lambda *_: 1.0, num_workers=2)
    made.processes.return_value = [mock.Mock()]
    return made


def broken(outcome: Outcome) -> list[str]:
    return [check.what for check in outcome.broken]


@pytest.mark.parametrize("row", [keeping.keeper_frozen, keeping.controller_killed])
def test_what_is_struck_is_gone_and_another_computes_or_the_row_is_broken(
    row: Callable[[mock.Mock], Outcome], stage: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert broken(row(stage)) == []
    monkeypatch.setattr(keeping, "computed_again", lambda *_, **__: math.inf)
    assert broken(row(stage)) == ["computed again after, s"]
    monkeypatch.setattr(keeping, "computed_again", lambda *_, **__: 1.0)
    monkeypatch.setattr(keeping, "alive", lambda processes: processes)
    assert broken(row(stage)) == ["processes left that were struck"]
    stage.processes.return_value = []
    assert broken(row(stage)) == ["struck"]


def test_an_ingress_serves_at_once_if_no_later_request_fails() -> None:
    history = History()
    late = history.invoke(Act.READ, JOB, job_id="a")
    history.unanswered(late, "closed without an answer")
    late.invoked, late.ended = 10.2, 10.5
    assert following.last_failure(history, 10.0) == pytest.approx(0.5)
    assert following.last_failure(history, 11.0) == 0.0


def test_every_row_about_durable_jobs_is_named_so() -> None:
    places = {"with_jobs", "twins_with_jobs", "on_small_disk", "on_postgres"}
    places |= {"two_nodes_on_postgres", "two_networks_on_postgres"}
    named = [row.name for row in ROWS if row.name.startswith(("durable-", "postgres-"))]
    assert named == [row.name for row in ROWS if getattr(row.start, "__name__", "") in places]

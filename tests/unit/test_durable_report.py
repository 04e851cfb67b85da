"""What the launcher says of durable jobs, after the start and at the end."""

from collections.abc import Iterable

from app.status import DurableCounts
from deployments.launcher.durable import PATIENCE_SECONDS, SELDOM_SECONDS, SILENT, Report, at_the_end

READY = DurableCounts(available=True)


def said_of(answers: Iterable[list[DurableCounts | None]], seconds: float) -> tuple[list[str], int]:
    """The lines while keepers answer so, one look each half second, and how often they were asked."""
    now, asked = 0.0, 0
    lines: list[str] = []
    remaining = iter(answers)
    last: list[DurableCounts | None] = []

    def ask() -> list[DurableCounts | None]:
        nonlocal asked, last
        asked += 1
        last = next(remaining, last)
        return last

    report = Report(ask, lines.append, lambda: now)
    while now < seconds:
        report.look()
        now += 0.5
    return lines, asked


def test_it_says_how_many_go_on_and_asks_no_more() -> None:
    waiting = DurableCounts(available=False, reason="being read")
    there = DurableCounts(available=True, queued=1, running=1, finished=5)
    assert said_of([[None], [waiting], [there]], 60) == (["2 durable jobs of before go on"], 3)


def test_one_alone_is_one() -> None:
    assert said_of([[DurableCounts(available=True, running=1)]], 5)[0] == ["1 durable job of before goes on"]


def test_of_several_applications_all_count() -> None:
    one = DurableCounts(available=True, queued=1)
    assert said_of([[one, DurableCounts(available=False)], [one, one]], 5)[0] == ["2 durable jobs of before go on"]


def test_without_any_nothing_is_said() -> None:
    assert said_of([[READY]], 60) == ([], 1)
    assert said_of([[]], 60) == ([], 1)  # no application has a keeper


def test_a_reason_that_stays_is_said_once_and_who_gave_it_is_asked_seldom() -> None:
    lines, asked = said_of([[DurableCounts(available=False, reason="another service has the file")]], 100)
    assert lines == ["durable jobs: none yet: another service has the file"]
    assert asked <= 2 * PATIENCE_SECONDS + 100 / SELDOM_SECONDS + 1


def test_a_keeper_that_does_not_answer_is_a_reason_too() -> None:
    assert said_of([[None]], 20)[0] == [f"durable jobs: none yet: {SILENT}"]


def test_when_the_reason_is_gone_that_is_said() -> None:
    damaged = DurableCounts(available=False, reason="no space")
    looks: list[list[DurableCounts | None]] = [[damaged]] * (int(2 * PATIENCE_SECONDS) + 3)
    lines, _ = said_of([*looks, [DurableCounts(available=True, queued=3)]], 60)
    assert lines == ["durable jobs: none yet: no space", "durable jobs: there now", "3 durable jobs of before go on"]


def test_at_the_end_only_those_that_are_not_done_are_worth_a_line() -> None:
    assert [at_the_end(number) for number in (0, 1, 3)] == [
        "",
        "1 durable job will go on at the next start",
        "3 durable jobs will go on at the next start",
    ]

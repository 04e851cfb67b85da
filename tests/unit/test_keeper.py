"""The keeper over a real store and real compute threads."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.durable.change_log import ChangeLog
from app.durable.outcome import error_of, result_text
from app.durable.records import JobView, State
from app.durable.runner import Runner
from app.durable.sql_store import SqlStore, sqlite_store
from app.durable.store import Operation, StoreError
from app.durable.transitions import MAX_STALLED
from app.errors import (
    CallerLimitError,
    ComputationError,
    DeadlineError,
    GaveUpError,
    JobError,
    JobsUnavailableError,
    KeyReusedError,
    NoSuchJobError,
    QueueFullError,
    TooCostlyError,
)
from app.job import Batch, JobResult
from harness import bounds
from tests.durable_pool import SETTINGS, Pool, available, die, done, is_running, keeping, new_job, until
from tests.tasks import fibonacci_with, job_of

SHA256_F999 = "20d7560f5ce2a4d71a9750c942a458344b0dbe15d6ca85b9abbc9765a79f02ea"


def run(main: Callable[[], Awaitable[Any]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


def found(view: JobView) -> Any:
    assert view.record.result is not None
    return json.loads(view.record.result)["found"]


def test_a_job_is_computed_and_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            submitted = await keeper.submit(new_job("a", 1_000, 3))
            assert submitted.is_new
            assert submitted.view.record.state is State.QUEUED
            view = await done(keeper, "a")
            assert view.record.state is State.SUCCEEDED
            assert found(view)["sha256"] == SHA256_F999
            assert view.record.units_done == view.record.total_units == 3_000
            assert view.record.checkpoint is None
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            assert (await keeper.get("a", "")).record == view.record
            assert (await keeper.counts()).finished == 1

    run(main)


def test_another_keeper_goes_on_where_the_last_commit_was(tmp_path: Path) -> None:
    async def main() -> None:
        first, second = Pool(), Pool()
        async with keeping(tmp_path, pool=first) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 20_000, 3_000))
            before = await until(keeper, "a", lambda view: view.record.units_done > 2_000_000)
        async with keeping(tmp_path, pool=second) as keeper:
            await available(keeper)
            resumed = await keeper.get("a", "")
            assert resumed.record.units_done >= before.record.units_done
            assert resumed.record.resumed == 1
            view = await done(keeper, "a")
            timing = json.loads(view.record.result or "")["timing"]
            assert view.record.state is State.SUCCEEDED
            assert timing["num_workers"] == 4
            assert second.num_batches < timing["num_batches"] <= first.num_batches + second.num_batches

    run(main)


def test_one_long_sequence_goes_on_inside_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 400_000, 1))
            await until(keeper, "a", lambda view: view.record.units_done > 100_000)
        pool = Pool()
        units: list[int] = []
        pool.before = lambda batch: units.extend(s.count * (s.stop - s.start) for s in batch.segments)
        async with keeping(tmp_path, pool=pool) as keeper:
            view = await done(keeper, "a")
            assert view.record.state is State.SUCCEEDED
            assert sum(units) < 300_000
        async with keeping(tmp_path / "other") as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 400_000, 1))
            assert found(await done(keeper, "a")) == found(view)

    run(main)


def test_progress_never_falls_and_is_what_is_stored(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 20_000, 1_500))
            seen = []
            while not (view := await keeper.get("a", "")).record.state.done:
                seen.append((view.record.revision, view.record.units_done))
                await asyncio.sleep(0.01)
            assert seen == sorted(seen)
            assert len(set(seen)) > 3

    run(main)


def test_a_key_is_for_one_job(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            first = await keeper.submit(new_job("a", key="k"))
            again = await keeper.submit(new_job("b", key="k"))
            assert (again.is_new, again.view.record.job_id) == (False, "a")
            with pytest.raises(KeyReusedError):
                await keeper.submit(new_job("c", 999, key="k"))
            others = await keeper.submit(new_job("d", key="k", caller="bob"))
            assert others.is_new
            await done(keeper, "a")
            assert (await keeper.submit(new_job("e", key="k"))).view.record.job_id == first.view.record.job_id
            at_once = await asyncio.gather(*(keeper.submit(new_job(f"f{i}", key="x")) for i in range(20)))
            assert sum(each.is_new for each in at_once) == 1
            assert len({each.view.record.job_id for each in at_once}) == 1

    run(main)


def test_cancelling_stops_the_work_and_stays(tmp_path: Path) -> None:
    async def main() -> None:
        pool = Pool()
        async with keeping(tmp_path, pool=pool) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000_000, 100))
            await until(keeper, "a", is_running)
            cancelled = await keeper.cancel("a", "")
            assert cancelled.record.state is State.CANCELLED
            await asyncio.sleep(bounds.CANCELLED_CPU_IDLE)
            number = pool.num_batches
            assert (await keeper.cancel("a", "")).record == cancelled.record
            await asyncio.sleep(0.3)
            assert pool.num_batches == number
            await keeper.submit(new_job("b"))
            over = await done(keeper, "b")
            assert (await keeper.cancel("b", "")).record == over.record

    run(main)


def test_what_is_cancelled_while_its_progress_is_written_keeps_that_progress(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path, SETTINGS.model_copy(update={"checkpoint_seconds": 60.0})) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 20_000, 5_000))
            live = keeper._runner["a"]
            await until(keeper, "a", lambda _: live.progress.num_units(live.job.task) > 0)
            units = live.progress.num_units(live.job.task)
            flushing = asyncio.create_task(keeper._custody.commit(keeper._now(), everything=True))
            await asyncio.sleep(0)  # now it is on its way
            cancelled = (await keeper.cancel("a", "")).record
            await flushing
            assert cancelled.units_done >= units > 0
            assert cancelled.revision > 2
            assert (await keeper.get("a", "")).record == cancelled

    run(main)


def test_none_of_many_cancelled_jobs_finishes_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            ids = [f"j{number}" for number in range(100)]
            for job_id in ids:
                await keeper.submit(new_job(job_id, 20_000, 2))
            answers = await asyncio.gather(*(keeper.cancel(job_id, "") for job_id in ids))
            await asyncio.sleep(0.3)
            for answer in answers:
                assert answer.record.state.done
                assert (await keeper.get(answer.record.job_id, "")).record == answer.record

    run(main)


def test_deleted_and_others_jobs_do_not_exist(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000_000, 100, caller="alice"))
            for call in (keeper.get, keeper.cancel, keeper.delete):
                with pytest.raises(NoSuchJobError):
                    await call("a", "bob")
            await keeper.delete("a", "alice")
            with pytest.raises(NoSuchJobError):
                await keeper.get("a", "alice")
            assert (await keeper.changes("", ["a"], 0.0)).gone == ("a",)

    run(main)


def test_a_callers_first_jobs_take_turns_and_the_rest_wait_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path, SETTINGS.model_copy(update={"max_caller_running_jobs": 2})) as keeper:
            await available(keeper)
            for number in range(5):
                await keeper.submit(new_job(f"j{number}", 1_000_000, 100))
            await until(keeper, "j1", is_running)
            await asyncio.sleep(0.3)
            views = [await keeper.get(f"j{number}", "") for number in range(5)]
            assert [view.record.state for view in views] == [State.RUNNING] * 2 + [State.QUEUED] * 3
            assert [view.queue_position for view in views] == [None, None, 2, 3, 4]
            await keeper.cancel("j0", "")
            await until(keeper, "j2", is_running)
            assert (await keeper.get("j3", "")).queue_position == 2

    run(main)


def test_pages_are_newest_first_and_ones_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            for number in range(5):
                await keeper.submit(new_job(f"j{number}", caller="alice"))
            await keeper.submit(new_job("b", caller="bob"))
            await done(keeper, "j4", "alice")
            first = await keeper.page("alice", [], None, 3)
            rest = await keeper.page("alice", [], first.next_number, 3)
            ids = [view.record.job_id for page in (first, rest) for view in page.views]
            assert ids == ["j4", "j3", "j2", "j1", "j0"]
            assert rest.next_number is None

    run(main)


def test_limits(tmp_path: Path) -> None:
    async def main() -> None:
        few = {"max_unfinished_jobs": 3, "max_caller_unfinished_jobs": 2, "max_job_core_seconds": 100.0}
        async with keeping(tmp_path, SETTINGS.model_copy(update=few)) as keeper:
            await available(keeper)
            with pytest.raises(TooCostlyError) as costly:
                await keeper.submit(new_job("a", 10_000_000, 10_000))
            assert costly.value.max_compute_seconds == 100.0
            await keeper.submit(new_job("a", 1_000_000, 50, caller="alice"))
            await keeper.submit(new_job("b", 1_000_000, 50, caller="alice"))
            with pytest.raises(CallerLimitError) as own:
                await keeper.submit(new_job("c", caller="alice"))
            assert own.value.retry_after_seconds >= 1
            await keeper.submit(new_job("d", 1_000_000, 50))
            with pytest.raises(QueueFullError):
                await keeper.submit(new_job("e"))

    run(main)


def test_a_deadline_ends_a_job_also_one_that_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path, SETTINGS.model_copy(update={"max_caller_running_jobs": 1})) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000_000, 1_000, timeout_seconds=0.5))
            await keeper.submit(new_job("b", 1_000_000, 1_000, timeout_seconds=0.5))
            for job_id in ("a", "b"):
                view = await done(keeper, job_id)
                assert view.record.state is State.FAILED
                error = error_of(view.record.error or "")
                assert isinstance(error, DeadlineError)
                assert error.timeout_seconds == 0.5

    run(main)


def test_a_job_that_cannot_be_computed_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        pool = Pool(4)

        def poison(batch: Batch) -> None:
            if any(segment.task.length == 777 for segment in batch.segments):
                raise ZeroDivisionError

        pool.before = poison
        async with keeping(tmp_path, pool=pool) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 777))
            await keeper.submit(new_job("b"))
            assert (await done(keeper, "b")).record.state is State.SUCCEEDED
            failed = (await done(keeper, "a")).record
            assert failed.state is State.FAILED
            assert isinstance(error_of(failed.error or ""), ComputationError)

    run(main)


def test_a_job_that_kills_its_keepers_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        nobody = Pool(0)
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000_000, 100))
            await until(keeper, "a", is_running)
            await die(keeper)
        for number in range(1, MAX_STALLED + 1):
            async with keeping(tmp_path, pool=nobody) as keeper:
                await available(keeper)
                assert (await keeper.get("a", "")).record.resumed == number
                await die(keeper)
        async with keeping(tmp_path, pool=nobody) as keeper:
            await available(keeper)
            record = (await keeper.get("a", "")).record
            assert record.state is State.FAILED
            assert isinstance(error_of(record.error or ""), GaveUpError)

    run(main)


@pytest.mark.parametrize("why", ["it ends in good order", "it is left alone", "its turn has not come"])
def test_a_job_that_cannot_have_killed_its_keepers_is_not_given_up(tmp_path: Path, why: str) -> None:
    async def main() -> None:
        nobody = Pool(0)
        ids = ("a", "b")
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            for job_id in ids:
                await keeper.submit(new_job(job_id, 1_000_000, 100))
                await until(keeper, job_id, is_running)
        if why == "it is left alone":
            change(tmp_path, "UPDATE jobs SET kernel = 'gone'")
        settings = SETTINGS.model_copy(update={"max_caller_running_jobs": 1 if "turn" in why else 4})
        for _ in range(MAX_STALLED + 2):
            async with keeping(tmp_path, settings, pool=nobody) as keeper:
                await available(keeper)
                if why != "it ends in good order":
                    await die(keeper)
        async with keeping(tmp_path, settings, pool=nobody) as keeper:
            await available(keeper)
            assert (await keeper.get("b", "")).record.state is State.RUNNING

    run(main)


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "jobs.db") as database:
        database.execute(statement)
    database.close()


def test_a_job_that_cannot_be_written_down_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(result: JobResult) -> str:
        if result.job.task.length == 777:
            raise TypeError("not JSON")
        return result_text(result)

    monkeypatch.setattr("app.durable.transitions.result_text", broken)

    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 777))
            await keeper.submit(new_job("b"))
            assert (await done(keeper, "a")).record.state is State.FAILED
            assert (await done(keeper, "b")).record.state is State.SUCCEEDED

    run(main)


def test_limits_that_would_make_another_job_of_it_leave_it_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path, pool=Pool(0)) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000, None, num_workers=8))
        lower = SETTINGS.model_copy(update={"kernels": fibonacci_with(max_num_sequences=4)})
        async with keeping(tmp_path, lower) as keeper:
            await available(keeper)
            await keeper.submit(new_job("b"))
            await done(keeper, "b")
            assert (await keeper.get("a", "")).record.state is State.QUEUED
        async with keeping(tmp_path) as keeper:
            assert (await done(keeper, "a")).record.units_done == 8_000

    run(main)


def test_a_submission_that_comes_twice_is_one_job(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 20_000, 1_000))
            again = await keeper.submit(new_job("a", 20_000, 1_000))
            assert not again.is_new
            over = await done(keeper, "a")
            assert (await keeper.submit(new_job("a", 20_000, 1_000))).view.record == over.record
            assert (await keeper.counts()).queued + (await keeper.counts()).running == 0

    run(main)


class SaysNothing:
    """A store whose first commit is written, but nobody is told so."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def run(self, operations: Sequence[Operation], now: int, *, writes: bool) -> list[Any]:
        results = self._store.run(operations, now, writes=writes)
        if writes and not self._has_failed:
            self._has_failed = True
            raise StoreError("the connection was lost")
        return results


def test_a_take_over_of_unknown_outcome_counts_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000_000, 100))
            await until(keeper, "a", is_running)
            await die(keeper)
        store = SaysNothing(sqlite_store(tmp_path, allow_network_folder=True))
        async with keeping(tmp_path, pool=Pool(0), store=store) as keeper:
            await available(keeper)
            assert store._has_failed
            record = (await keeper.get("a", "")).record
            assert (record.resumed, record.stalled) == (1, 1)

    run(main)


def test_a_change_at_the_moment_at_which_a_wait_ends_is_told() -> None:
    async def main() -> None:
        log = ChangeLog()
        log.begin("1")
        waiting = asyncio.create_task(log.wait(log.cursor, ["a"], 0.0))
        await asyncio.sleep(0)  # now it waits, and its time is up
        log.note("a")
        assert await waiting == {"a"}

    run(main)


def test_a_wall_clock_that_jumps_ends_no_job(tmp_path: Path) -> None:
    ahead = [0.0]

    async def main() -> None:
        async with keeping(tmp_path, pool=Pool(0), wall_clock=lambda: time.time() + ahead[0]) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a"))
            ahead[0] = 30 * 86_400.0
            await asyncio.sleep(0.3)
            assert (await keeper.get("a", "")).record.state is State.QUEUED

    run(main)


def test_a_deposed_keeper_that_has_nothing_to_write_finds_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path, pool=Pool(0)) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a"))
            keeper._writer._store._epoch = 0  # type: ignore[attr-defined]
            async with asyncio.timeout(5):
                while not keeper.deposed:  # noqa: ASYNC110 (a state that nobody announces)
                    await asyncio.sleep(0.02)
            with pytest.raises(JobsUnavailableError):
                await keeper.get("a", "")

    run(main)


def test_after_its_end_nothing_is_begun(tmp_path: Path) -> None:
    async def main() -> None:
        pool = Pool()
        async with keeping(tmp_path, SETTINGS.model_copy(update={"max_caller_running_jobs": 1}), pool) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 1_000_000, 100))
            await keeper.submit(new_job("b", 1_000_000, 100))
            await until(keeper, "a", is_running)
        number = pool.num_batches
        keeper._custody.drop("a")
        await asyncio.sleep(0.2)
        assert pool.num_batches == number

    run(main)


def test_a_damaged_checkpoint_begins_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 20_000, 2_000))
            await until(keeper, "a", lambda view: view.record.units_done > 0)
        with sqlite3.connect(tmp_path / "jobs.db") as database:
            database.execute("UPDATE jobs SET checkpoint = replace(checkpoint, 'whole', 'hole')")
        database.close()
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            assert (await done(keeper, "a")).record.state is State.SUCCEEDED

    run(main)
    assert "begins again" in caplog.text


@pytest.mark.parametrize(
    "change", ["UPDATE jobs SET kernel = 'gone'", "UPDATE jobs SET request = '{\"sequence_size\": -1}'"]
)
def test_what_cannot_be_computed_here_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    async def main() -> None:
        async with keeping(tmp_path, pool=Pool(0)) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a"))
        with sqlite3.connect(tmp_path / "jobs.db") as database:
            database.execute(change)
        database.close()
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("b"))
            await done(keeper, "b")
            assert (await keeper.get("a", "")).record.state is State.QUEUED
            assert (await keeper.cancel("a", "")).record.state is State.CANCELLED

    run(main)
    assert "is left alone" in caplog.text


def test_without_a_store_it_says_why_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    async def main() -> None:
        folder = tmp_path / "file"
        folder.write_text("not a folder")
        async with keeping(folder) as keeper:
            with pytest.raises(JobsUnavailableError):
                await keeper.submit(new_job("a"))
            await asyncio.sleep(0.3)
            counts = await keeper.counts()
            assert not counts.available
            assert str(folder) in (counts.reason or "")
            folder.unlink()
            await available(keeper)
            await keeper.submit(new_job("a"))
            assert (await done(keeper, "a")).record.state is State.SUCCEEDED

    run(main)


def test_changes_are_told_to_whoever_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 20_000, 400))
            changes = await keeper.changes("", ["a"], 5.0)
            states, revisions = [], []
            while not changes.views or not changes.views[-1].record.state.done:
                changes = await keeper.changes(changes.cursor, ["a"], 5.0)
                states += [view.record.state for view in changes.views]
                revisions += [view.record.revision for view in changes.views]
            assert states[-1] is State.SUCCEEDED
            assert revisions == sorted(set(revisions))
            begun = asyncio.get_running_loop().time()
            assert (await keeper.changes(changes.cursor, ["a"], 0.2)).views == ()
            assert asyncio.get_running_loop().time() - begun >= 0.19
            assert [view.record.job_id for view in (await keeper.changes("9-1", ["a"], 1.0)).views] == ["a"]

    run(main)


def test_the_end_is_predicted_once_the_speed_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.durable.forecast.LEAST_SECONDS", 0.3)

    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a", 100_000, 200))
            assert (await keeper.get("a", "")).estimated_finish_at is None
            view = await until(keeper, "a", lambda view: view.estimated_finish_at is not None)
            over = await done(keeper, "a")
            assert view.estimated_finish_at is not None
            assert over.record.finished_at is not None
            left = over.record.finished_at - view.record.created_at
            assert abs(view.estimated_finish_at - over.record.finished_at) < max(500, left)

    run(main)


def test_finished_jobs_are_forgotten_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.durable.housekeeping.FIRST_PURGE_SECONDS", 0.2)
    monkeypatch.setattr("app.durable.housekeeping.PURGE_SECONDS", 0.1)

    async def main() -> None:
        async with keeping(tmp_path, SETTINGS.model_copy(update={"result_ttl_seconds": 0.3})) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a"))
            await done(keeper, "a")
            async with asyncio.timeout(5):
                while True:
                    if not (await keeper.counts()).finished:
                        break
                    await asyncio.sleep(0.02)
            with pytest.raises(NoSuchJobError):
                await keeper.get("a", "")

    run(main)


def test_jobs_wait_for_workers(tmp_path: Path) -> None:
    async def main() -> None:
        pool = Pool(0)
        async with keeping(tmp_path, SETTINGS.model_copy(update={"worker_wait_seconds": 0.1}), pool) as keeper:
            await available(keeper)
            await keeper.submit(new_job("a"))
            await asyncio.sleep(0.6)
            assert (await keeper.get("a", "")).record.state is State.QUEUED
            joined = Pool(1)
            pool.threads |= joined.threads
            keeper.set_workers(pool.threads)
            assert (await done(keeper, "a")).record.state is State.SUCCEEDED

    run(main)


def test_a_runner_says_what_became_of_a_job() -> None:
    async def main() -> None:
        ended: list[tuple[str, Any]] = []
        runner = Runner(Pool(0).run, SETTINGS, lambda *what: ended.append(what))
        runner.start("a", 1, "", job_of(10).task, None)
        runner["a"].fail(JobError("x"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [job_id for job_id, _ in ended] == ["a"]
        assert not len(runner)

    run(main)


def test_views_of_finished_jobs_have_no_position(tmp_path: Path) -> None:
    async def main() -> None:
        async with keeping(tmp_path) as keeper:
            await available(keeper)
            view = (await keeper.submit(new_job("a"))).view
            assert replace(view, estimated_finish_at=None).queue_position == 0
            assert (await done(keeper, "a")).queue_position is None

    run(main)

"""What is counted of batches and jobs."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.compute.thread import ComputeThread
from app.dispatch.dispatcher import Dispatcher
from app.errors import QueueFullError, TooCostlyError
from app.job import Batch, BatchResult, Execution, JobResult, Timing
from app.kernel import Part
from app.observe import gauges, metrics
from app.observe.counts import PLACES, Counts
from app.observe.metrics import DURATIONS, METRICS, Kind, Sample
from app.observer import BatchOutcome, EndedBatch, EndedJob, JobOutcome, RetryCause
from app.settings import Settings
from app.status import DurableCounts
from tests.tasks import job_of, segment

OPERATE = Path(__file__).parents[2] / "docs/operate.md"
JOB = job_of(1_000)
CAME_BACK = EndedBatch("w", "node", JOB, 1, 1_000, 1_000, 1, BatchOutcome.OK, 10.0, 11.0, 0.5, 0.1, 0.4, 0.3)
LOST = CAME_BACK._replace(node_id="", outcome=BatchOutcome.LOST, queued_seconds=0.0, compute_seconds=0.0)
TIMING = Timing(0.2, 0.05, 0.125, 1, 1, 0.25)
RESULT = JobResult(JOB, [1_000], Part(), 1, 0, TIMING, [])
DONE = EndedJob(JOB, JobOutcome.SUCCEEDED, None, 10.0, 10.2, 0.25, RESULT)


def values(samples: Any) -> dict[str, float]:
    """Those that are not 0, by the metric's name and the values of its labels."""
    found: dict[str, float] = {}
    for metric, labels, value, _at in samples:
        name = " ".join((metric.name.removeprefix("fibonacci_"), *labels))
        found[name] = found.get(name, 0) + value
    return {name: value for name, value in found.items() if value}


def counted(counts: Counts) -> dict[str, float]:
    return values(counts.samples())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (a thread sees to it)
            await asyncio.sleep(0.001)


def test_what_never_happened_is_there_and_0() -> None:
    samples = list(Counts(["fibonacci"]).samples())
    assert {sample.value for sample in samples} == {0}
    names = {" ".join((sample.metric.name, *sample.labels)) for sample in samples}
    assert {"fibonacci_verification_failures", "fibonacci_retries late", "fibonacci_refusals queue-full"} <= names
    assert "fibonacci_jobs succeeded local fibonacci" in names


def test_a_batch_that_came_back_counts_with_its_times() -> None:
    counts = Counts()
    counts.batch_ended(CAME_BACK)
    counts.batch_ended(CAME_BACK._replace(num_jobs=3))
    assert counted(counts) == {
        "batches ok": 2, "batch_predicted_seconds": 1.0, "batch_compute_seconds": 0.8, "batch_cpu_seconds": 0.6,
        "coalesced_jobs": 3,
    }  # fmt: skip


def test_a_lost_batch_counts_without_times_so_that_the_prediction_is_compared_with_what_was_measured() -> None:
    counts = Counts()
    counts.batch_ended(LOST)
    counts.retried(RetryCause.LOST)
    assert counted(counts) == {"batches lost": 1, "retries lost": 1}


@pytest.mark.parametrize(
    ("batch", "failures"),
    [
        (CAME_BACK._replace(outcome=BatchOutcome.WRONG), 1),
        (CAME_BACK._replace(outcome=BatchOutcome.FAILED), 1),  # what was found cannot be joined
        (LOST._replace(outcome=BatchOutcome.FAILED), 0),  # its code raised
        (CAME_BACK._replace(outcome=BatchOutcome.LATE), 0),
    ],
)
def test_a_wrong_result_is_a_verification_failure(batch: EndedBatch, failures: int) -> None:
    counts = Counts()
    counts.batch_ended(batch)
    assert counted(counts).get("verification_failures", 0) == failures


def test_a_job_counts_by_outcome_execution_and_kernel() -> None:
    counts = Counts()
    counts.job_ended(DONE)
    local = replace(JOB, execution=Execution.LOCAL)
    counts.job_ended(EndedJob(local, JobOutcome.DEADLINE, None, 10.0, 12.0, 0.5, None))
    assert counted(counts) == {
        "jobs succeeded distributed fibonacci": 1, "jobs deadline local fibonacci": 1,
        "predicted_seconds accepted": 0.75, "job_queued_seconds": 0.05, "job_compute_seconds": 0.125,
        "job_duration_seconds distributed": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "predicted", "name", "seconds"),
    [
        (QueueFullError("full", 1), 0.5, "queue-full", 0.5),
        (TooCostlyError(700.0, 600.0), 0.0, "too-costly", 700.0),
        (TooCostlyError(700.0, 600.0), 350.0, "too-costly", 350.0),
    ],
)
def test_a_refused_job_counts_by_its_type(error: Exception, predicted: float, name: str, seconds: float) -> None:
    counts = Counts()
    counts.job_ended(EndedJob(JOB, JobOutcome.REFUSED, error, 10.0, 10.0, predicted, None))
    assert counted(counts) == {
        "jobs refused distributed fibonacci": 1, f"refusals {name}": 1, "predicted_seconds refused": seconds,
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (0.2, 5), (300.0, 13), (301.0, 14)])
def test_a_duration_counts_in_its_bucket(seconds: float, bucket: int) -> None:
    counts = Counts()
    counts.job_ended(DONE._replace(result=replace(RESULT, timing=replace(TIMING, total_seconds=seconds))))
    (sample,) = [each for each in counts.samples() if each.metric is metrics.JOB_DURATION and each.value]
    assert sample.at == PLACES[bucket]
    assert bucket == len(DURATIONS) or sample.at < DURATIONS[bucket]
    assert bucket == 0 or sample.at > DURATIONS[bucket - 1]


def test_the_dispatchers_gauges_tell_its_queue_and_how_the_workers_are() -> None:
    async def never(worker_id: str, batch: Batch) -> BatchResult:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> dict[str, float]:
        dispatcher = Dispatcher(never, Settings(max_queued_seconds=7))
        dispatcher.set_workers(["a", "b", "c"])
        job = asyncio.create_task(dispatcher.run(job_of(10, execution=Execution.LOCAL)))
        await asyncio.sleep(0)
        found = values(gauges.of_dispatcher(dispatcher, Settings(max_queued_seconds=7)))
        job.cancel()
        await asyncio.wait([job])
        return found

    found = asyncio.run(main())
    assert found.pop("predicted_drain_seconds") > 0
    assert found == {"unfinished_jobs": 1, "max_queued_seconds": 7, "workers busy": 1, "workers idle": 2}


def test_durable_jobs_are_told_by_state_while_they_can_be_had() -> None:
    assert values(gauges.of_durable(DurableCounts(True, None, 1, 2, 3))) == {
        "durable_jobs queued": 1, "durable_jobs running": 2, "durable_jobs finished": 3,
    }  # fmt: skip
    assert list(gauges.of_durable(DurableCounts(False, "no disk"))) == []


def test_a_workers_thread_tells_how_long_a_cancelled_batch_held_it() -> None:
    async def main() -> dict[str, float]:
        thread = ComputeThread()
        task = asyncio.create_task(thread.run([segment(0, 10_000_000)]))
        await until(lambda: thread.busy_seconds > 0)
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: thread.num_cancelled > 0)
        return values(gauges.of_thread(thread))

    found = asyncio.run(main())
    assert found["cancels"] == 1
    assert 0 <= found.get("cancel_seconds", 0) < found["worker_busy_seconds"]


def test_a_batch_that_is_cancelled_before_its_turn_holds_nothing() -> None:
    async def main() -> dict[str, float]:
        thread = ComputeThread()
        first = asyncio.create_task(thread.run([segment(0, 30_000)]))
        second = asyncio.create_task(thread.run([segment(0, 30_000)], background=True))
        await asyncio.sleep(0)
        second.cancel()
        await first
        await until(lambda: thread.num_cancelled > 0)
        return values(gauges.of_thread(thread))

    found = asyncio.run(main())
    assert found["cancels"] == 1
    assert "cancel_seconds" not in found


def test_every_metric_is_told_by_somebody() -> None:
    dispatcher = asyncio.run(_a_dispatcher())
    told: list[Sample] = [
        *Counts().samples(),
        *gauges.of_dispatcher(dispatcher, Settings()),
        *gauges.of_durable(DurableCounts(True)),
        *gauges.of_thread(ComputeThread()),
    ]
    assert {sample.metric.name for sample in told} | {"fibonacci_jobs"} == {metric.name for metric in METRICS}
    assert all(len(sample.labels) == len(sample.metric.labels) for sample in told)


async def _a_dispatcher() -> Dispatcher:
    async def never(worker_id: str, batch: Batch) -> BatchResult:
        raise AssertionError

    return Dispatcher(never)


def test_the_page_has_every_metric() -> None:
    text = OPERATE.read_text().partition("| metric | kind | labels | meaning |\n|---|---|---|---|\n")[2]
    rows = [
        f"| `{metric.shown}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels) or '-'} "
        f"| {metric.meaning} |"
        for metric in METRICS
    ]
    assert text.partition("\n\n")[0].splitlines() == rows


def test_the_page_has_every_outcome() -> None:
    (text,) = re.findall(r"^- `outcome` is (.*?)\n- ", OPERATE.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([a-z]+)`", text)) - {"result", "cause"} == {*JobOutcome, *BatchOutcome, *RetryCause}


def test_no_label_is_of_a_caller_or_a_job() -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {"outcome", "execution", "kernel", "type", "decision", "result", "cause", "state"}
    assert all(metric.kind is not Kind.HISTOGRAM or metric is metrics.JOB_DURATION for metric in METRICS)

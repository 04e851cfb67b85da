"""Durable jobs behind everybody who waits: a tenth of the workers is theirs, and nobody notices them. Virtual time."""

import asyncio
import statistics

import pytest

from app.compute.turns import BACKGROUND_SHARE
from app.dispatch.in_flight import LATE_SECONDS
from app.durable.runner import Runner
from app.errors import JobError
from app.job import JobResult
from app.settings import Settings
from harness.virtual_time import run_virtually
from tests.simulated_pool import ROOMY, Call, SimulatedPool, job, submit


class Durable:
    """A runner over the workers of a simulated pool."""

    def __init__(self, pool: SimulatedPool, settings: Settings = ROOMY) -> None:
        self.ended: dict[str, JobResult | JobError] = {}
        loop = asyncio.get_running_loop()
        self.runner = Runner(pool.run_batch, settings, self.ended.__setitem__, loop.time, num_ingresses=2)
        self.runner.set_workers(pool.worker_ids)

    def start(self, job_id: str, seconds: float, num_lines: int = 1) -> None:
        self.runner.start(job_id, len(self.runner), "", job(seconds, num_lines).task, None)

    def result(self, job_id: str) -> JobResult:
        result = self.ended[job_id]
        assert isinstance(result, JobResult)
        return result


def background(pool: SimulatedPool) -> list[Call]:
    return [call for call in pool.calls if call.batch.background]


async def tiny_jobs(pool: SimulatedPool, number: int) -> list[float]:
    """How long each took, one after the other."""
    loop, took = asyncio.get_running_loop(), []
    for _ in range(number):
        begun = loop.time()
        await pool.dispatcher.run(job(0.001))
        took.append(loop.time() - begun)
        await asyncio.sleep(0.01)
    return took


def test_tiny_jobs_hardly_notice() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        alone = await tiny_jobs(pool, 100)
        durable = Durable(pool)
        durable.start("a", 0.1, 10_000)
        beside = await tiny_jobs(pool, 100)
        assert max(beside) <= 1.2 * statistics.median(alone) + 0.020
        assert len(background(pool)) > 2
        durable.runner.stop("a")

    run_virtually(main())


def test_a_flood_does_not_starve_them_and_nothing_is_computed_twice() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        durable = Durable(pool)
        durable.start("a", 0.05, 100_000)
        flood = [submit(pool, job(0.2, 1_000)) for _ in range(4)]
        await asyncio.sleep(60.0)
        share = durable.runner["a"].compute_seconds / (2 * 60.0)
        assert 1 / BACKGROUND_SHARE - 0.01 <= share <= 1 / BACKGROUND_SHARE + 0.02
        assert all(call.outcome in ("running", "returned") for call in background(pool))
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        durable.runner.stop("a")

    run_virtually(main())


def test_they_have_all_workers_where_nobody_else_wants_them() -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        durable = Durable(pool)
        durable.start("a", 0.1, 400)
        await asyncio.sleep(21.0)
        result = durable.result("a")
        assert result.counts == [result.job.task.length] * 400
        assert result.timing.total_seconds <= 20.5

    run_virtually(main())


def test_a_batch_that_waits_for_long_is_not_late_where_its_worker_answers() -> None:
    async def main() -> None:
        pool = SimulatedPool(1)
        durable = Durable(pool, ROOMY.model_copy(update={"batch_ceiling_seconds": 2.0}))
        durable.start("a", 2.0, 4)
        flood = submit(pool, job(0.2, 2_000))
        await asyncio.sleep(100.0)
        assert durable.result("a").timing.total_seconds > LATE_SECONDS + 5.0
        assert {record.attempts for record in durable.result("a").batches} == {1}
        assert {call.outcome for call in background(pool)} == {"returned"}
        assert pool.probes
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)

    run_virtually(main())


@pytest.mark.parametrize("thaws", [False, True])
def test_what_a_silent_worker_has_is_computed_elsewhere(thaws: bool) -> None:
    async def main() -> None:
        pool = SimulatedPool(2)
        durable = Durable(pool)
        durable.start("a", 0.1, 100)
        await asyncio.sleep(1.0)
        pool.freeze("w1")
        if thaws:
            asyncio.get_running_loop().call_later(20.0, pool.thaw, "w1")
        await asyncio.sleep(60.0)
        result = durable.result("a")
        assert result.counts == [result.job.task.length] * 100
        assert result.timing.total_seconds < 20.0
        assert {record.attempts for record in result.batches} == {1}

    run_virtually(main())


def test_what_a_dead_worker_had_is_computed_by_another() -> None:
    async def main() -> None:
        pool = SimulatedPool(3)
        durable = Durable(pool)
        durable.start("a", 0.1, 100)
        await asyncio.sleep(1.0)
        pool.kill("w1")
        durable.runner.set_workers(pool.worker_ids)
        await asyncio.sleep(10.0)
        result = durable.result("a")
        assert result.counts == [result.job.task.length] * 100
        assert max(record.attempts for record in result.batches) == 2

    run_virtually(main())

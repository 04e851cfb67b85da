"""What is handed to Ray's metrics: differences, once a second, whatever happens to them there."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest

from app.observe.metrics import Kind, Metric, Sample
from deployments.metrics import FLUSH_SECONDS, LOOKS, MAX_NOTED, Flush, Tell
from harness.virtual_time import run_virtually

JOBS = Metric("jobs", Kind.COUNTER, ("outcome",), "Jobs.")
TIMES = Metric("times", Kind.HISTOGRAM, (), "Times.")
WORKERS = Metric("workers", Kind.GAUGE, (), "Workers.")


class Ray:
    """In the place of Ray's metrics."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, dict[str, str]]] = []
        self.made: list[str] = []
        self.broken = False

    def make(self, metric: Metric) -> Tell:
        self.made.append(metric.name)

        def tell(value: float, labels: dict[str, str]) -> None:
            if self.broken:
                raise ValueError("broken")
            self.told.append((metric.name, value, labels))

        return tell

    def taken(self) -> list[tuple[str, float, dict[str, str]]]:
        told, self.told = self.told, []
        return told


def test_a_counter_is_told_its_increase_and_its_first_0() -> None:
    ray, number = Ray(), 0.0
    flush = Flush(lambda: [Sample(JOBS, ("failed",), number)], make=ray.make)
    asyncio.run(flush.flush())
    assert ray.taken() == [("jobs", 0.0, {"outcome": "failed"})]
    number = 3.0
    asyncio.run(flush.flush())
    asyncio.run(flush.flush())
    number = 3.5
    asyncio.run(flush.flush())
    assert ray.taken() == [("jobs", 3.0, {"outcome": "failed"}), ("jobs", 0.5, {"outcome": "failed"})]
    assert ray.made == ["jobs"]


def test_a_histogram_is_told_each_thing_that_is_new() -> None:
    ray, number = Ray(), 0
    flush = Flush(lambda: [Sample(TIMES, (), number, 0.5)], make=ray.make)
    asyncio.run(flush.flush())
    number = 2
    asyncio.run(flush.flush())
    assert ray.taken() == [("times", 0.5, {}), ("times", 0.5, {})]


def test_of_many_new_things_a_histogram_is_told_a_sample() -> None:
    ray = Ray()
    numbers = {0.5: 9 * MAX_NOTED, 2.0: MAX_NOTED}
    flush = Flush(lambda: [Sample(TIMES, (), number, at) for at, number in numbers.items()], make=ray.make)
    asyncio.run(flush.flush())
    told = Counter(at for _, at, _ in ray.taken())
    assert told == {0.5: 0.9 * MAX_NOTED, 2.0: 0.1 * MAX_NOTED}
    numbers[0.5] += 1
    asyncio.run(flush.flush())
    assert len(ray.taken()) == 1


def test_gauges_are_looked_at_every_few_flushes() -> None:
    ray, looks = Ray(), 0

    async def shown() -> Iterable[Sample]:
        nonlocal looks
        looks += 1
        return [Sample(WORKERS, (), 2)]

    flush = Flush(list, shown, make=ray.make)
    for _ in range(2 * LOOKS):
        asyncio.run(flush.flush())
    assert looks == 2
    assert ray.taken() == [("workers", 2, {})] * 2


def test_what_ray_raises_is_said_once_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    ray, number = Ray(), 1
    flush = Flush(lambda: [Sample(JOBS, ("failed",), number)], make=ray.make)
    ray.broken = True
    asyncio.run(flush.flush())
    number = 2
    asyncio.run(flush.flush())
    assert [record.getMessage() for record in caplog.records] == ["metrics are not told"]
    ray.broken, number = False, 3
    asyncio.run(flush.flush())
    assert ray.taken() == [("jobs", 1.0, {"outcome": "failed"})]


def test_it_goes_on_once_a_second_until_the_loop_ends() -> None:
    ray = Ray()
    number = 0

    def counted() -> Iterable[Sample]:
        nonlocal number
        number += 1
        return [Sample(JOBS, ("failed",), number)]

    async def main() -> None:
        Flush(counted, make=ray.make).start()
        await asyncio.sleep(9.5 * FLUSH_SECONDS)

    run_virtually(main())
    assert len(ray.taken()) == 10

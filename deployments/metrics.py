"""Hands what is counted in this process to Ray: once a second to Ray's own library, which tells the node's agent every
10 s, which shows it to Prometheus.
"""

import asyncio
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ray.serve import metrics as serve_metrics

from app.observe.metrics import DURATIONS, Kind, Metric, Sample

FLUSH_SECONDS = 1.0
LOOKS = 5
"""Every so many flushes the gauges are looked at: the agent forgets one that it has not been told for 20 s."""

MAX_NOTED = 100
"""Of a histogram at each flush; of more a sample is told. The agent takes 13 microseconds for each, one by one."""

Tell = Callable[[float, dict[str, str]], None]
"""Adds to a counter, sets a gauge, or notes a value of a histogram."""
logger = logging.getLogger("ray.serve")


class Flush:
    """Tells Ray what has changed."""

    def __init__(
        self,
        counted: Callable[[], Iterable[Sample]],
        shown: Callable[[], Awaitable[Iterable[Sample]]] | None = None,
        *,
        make: Callable[[Metric], Tell] | None = None,
    ) -> None:
        """``counted``: counters and histograms; ``shown``: gauges, which are dearer to look at; ``make``: each of them,
        at its first sample."""
        self._counted = counted
        self._shown = shown
        self._make = make or tell_ray
        self._tells: dict[str, Tell] = {}
        self._told: dict[tuple[str, tuple[str, ...], float], float] = {}
        self._num_flushes = 0
        self._has_failed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running event loop; it ends with that."""
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())  # no request's

    async def _run(self) -> None:
        while True:
            await self.flush()
            await asyncio.sleep(FLUSH_SECONDS)

    async def flush(self) -> None:
        """Once; never raises: jobs matter more than their metrics."""
        try:
            self._add(self._counted())
            if self._shown is not None and self._num_flushes % LOOKS == 0:
                for sample in await self._shown():
                    self._tell(sample)
        except Exception:  # whatever a later Ray may raise
            if not self._has_failed:
                logger.exception("metrics are not told")
            self._has_failed = True
        self._num_flushes += 1

    def _add(self, samples: Iterable[Sample]) -> None:
        noted: list[Sample] = []
        for sample in samples:
            metric, labels, value, at = sample
            key = metric.name, labels, at
            if (told := self._told.get(key)) is None or value > told:
                self._told[key] = value
                more = sample._replace(value=value - (told or 0.0))
                if metric.kind is Kind.HISTOGRAM:
                    noted.append(more)
                else:
                    self._tell(more)
        share = min(1.0, MAX_NOTED / max(1.0, sum(more.value for more in noted)))
        for more in noted:
            number = more.value * share
            for _ in range(int(number) + (random.random() < number % 1)):  # noqa: S311 (a sample, no secret)
                self._tell(more._replace(value=more.at))

    def _tell(self, sample: Sample) -> None:
        metric = sample.metric
        if (tell := self._tells.get(metric.name)) is None:
            tell = self._tells[metric.name] = self._make(metric)
        tell(sample.value, dict(zip(metric.labels, sample.labels, strict=True)))


def tell_ray(metric: Metric) -> Tell:
    """The metric in Ray, which adds the names of the deployment, the replica and the application."""
    name, meaning = metric.name, metric.meaning.replace("`", "")
    labels: Any = metric.labels  # Ray says that it wants one
    if metric.kind is Kind.GAUGE:
        return serve_metrics.Gauge(name, meaning, labels).set
    if metric.kind is Kind.HISTOGRAM:
        return serve_metrics.Histogram(name, meaning, list(DURATIONS), labels).observe
    counter = serve_metrics.Counter(name, meaning, labels)

    def add(value: float, tags: dict[str, str]) -> None:
        if value > 0:
            counter.inc(value, tags)
        else:
            counter._record(0.0, tags)  # noqa: SLF001 (``inc`` refuses 0; of what begins at 1 there is no increase)

    return add

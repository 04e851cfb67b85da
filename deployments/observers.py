"""Who looks on in a process that dispatches: the page's timeline, the metrics, the line a job and the traces."""

import os
from collections.abc import Awaitable, Callable, Iterable

from app.kernel import offers_of
from app.observe.counts import Counts
from app.observe.metrics import Sample
from app.observe.observers import Observers
from app.observe.spans import Spans
from app.observe.timeline import Timeline
from app.observer import Observer
from app.settings import Settings
from deployments.job_log import job_log
from deployments.metrics import Flush
from deployments.tracing import flush, provider_from


class LookingOn:
    """All of them, as one observer and one by one."""

    def __init__(self, settings: Settings, *, durable: bool = False) -> None:
        """``durable``: whether the jobs are."""
        self.timeline = Timeline(durable=durable)
        self.counts = Counts(offer.kernel.name for offer in offers_of(settings))
        self.traces = None if durable else provider_from(os.environ)  # a durable job's request does not wait for it
        observers: list[Observer] = [self.timeline, self.counts]
        if (line := job_log(settings, durable=durable)) is not None:
            observers.append(line)
        if self.traces is not None:
            observers.append(Spans(self.traces.get_tracer("fibonacci")))
        self.observer = Observers(*observers)

    def start(self, shown: Callable[[], Awaitable[Iterable[Sample]]]) -> None:
        """Tell Ray's metrics of it, from the running event loop; ``shown``: the process's gauges."""
        self._flush = Flush(self.counts.samples, shown)
        self._flush.start()

    async def stop(self) -> None:
        """Send the last spans."""
        if self.traces is not None:
            await flush(self.traces)

"""What the parts of the service are at, as samples, to be looked at now and then."""

from collections.abc import Iterator

from app.compute.thread import ComputeThread
from app.dispatch.dispatcher import Dispatcher
from app.observe import metrics
from app.observe.metrics import Sample
from app.settings import Settings
from app.status import DurableCounts


def of_dispatcher(dispatcher: Dispatcher, settings: Settings) -> Iterator[Sample]:
    """Its queue, and the workers as it sees them; takes about a microsecond for each batch on a worker."""
    yield Sample(metrics.QUEUED_JOBS, (), dispatcher.num_queued_jobs)
    yield Sample(metrics.UNFINISHED_JOBS, (), dispatcher.num_unfinished_jobs)
    yield Sample(metrics.DRAIN, (), dispatcher.drain_seconds)
    yield Sample(metrics.DRAIN_LIMIT, (), settings.max_queued_seconds)
    late: dict[str, bool] = {}
    for batch in dispatcher.running_batches:
        late[batch.worker_id] = batch.late or late.get(batch.worker_id, False)
    num_late = sum(late.values())
    yield Sample(metrics.WORKERS, ("late",), num_late)
    yield Sample(metrics.WORKERS, ("busy",), len(late) - num_late)
    yield Sample(metrics.WORKERS, ("idle",), max(0, dispatcher.num_workers - len(late)))


def of_durable(counts: DurableCounts) -> Iterator[Sample]:
    """Nothing while they cannot be had."""
    if counts.available:
        yield Sample(metrics.DURABLE_JOBS, ("queued",), counts.queued)
        yield Sample(metrics.DURABLE_JOBS, ("running",), counts.running)
        yield Sample(metrics.DURABLE_JOBS, ("finished",), counts.finished)


def of_thread(thread: ComputeThread) -> Iterator[Sample]:
    """What a worker's thread has done."""
    yield Sample(metrics.WORKER_BUSY, (), thread.busy_seconds)
    yield Sample(metrics.CANCELS, (), thread.num_cancelled)
    yield Sample(metrics.CANCEL_SECONDS, (), thread.cancel_seconds)

"""Every metric: its name, kind and labels, and what it means. ``docs/operate.md`` has the same table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """As Prometheus has them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One of them. No label has a caller's name, a size or a job's id: its values are few, and known beforehand."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str

    @property
    def shown(self) -> str:
        """Its name in Prometheus: Ray's prefix and, of a counter, the usual end."""
        return f"ray_{self.name}" + ("_total" if self.kind is Kind.COUNTER else "")


class Sample(NamedTuple):
    """What a metric has come to: of a counter since the process began, of a gauge now."""

    metric: Metric
    labels: tuple[str, ...]
    """A value for each of the metric's labels."""
    value: float
    at: float = 0.0
    """Of a histogram: where in it ``value`` things are."""


DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The bounds of the histogram, in seconds."""

JOBS = Metric("fibonacci_jobs", Kind.COUNTER, ("outcome", "execution", "kernel"), "Jobs that ended, however.")
REFUSALS = Metric(
    "fibonacci_refusals", Kind.COUNTER, ("type",), "Jobs that were not admitted, by their problem's type."
)
PREDICTED = Metric(
    "fibonacci_predicted_seconds",
    Kind.COUNTER,
    ("decision",),
    "Seconds of computing that jobs were predicted to take, when they were accepted or refused.",
)
JOB_QUEUED = Metric(
    "fibonacci_job_queued_seconds", Kind.COUNTER, (), "Seconds that jobs waited for their first batch to be sent."
)
JOB_COMPUTED = Metric(
    "fibonacci_job_compute_seconds",
    Kind.COUNTER,
    (),
    "Seconds of computing that jobs really took; of those that succeeded.",
)
JOB_DURATION = Metric(
    "fibonacci_job_duration_seconds",
    Kind.HISTOGRAM,
    ("execution",),
    "How long jobs took from acceptance to result: for quantiles. Above 100 jobs a second it is a sample of them, and "
    "its `_sum` is never exact, since Ray passes on only the buckets.",
)
BATCHES = Metric(
    "fibonacci_batches", Kind.COUNTER, ("result",), "Batches that left their worker, by what became of them."
)
BATCH_PREDICTED = Metric(
    "fibonacci_batch_predicted_seconds",
    Kind.COUNTER,
    (),
    "Seconds that batches which came back were predicted to take.",
)
BATCH_COMPUTED = Metric(
    "fibonacci_batch_compute_seconds", Kind.COUNTER, (), "Seconds that these batches were computed for."
)
BATCH_CPU = Metric(
    "fibonacci_batch_cpu_seconds", Kind.COUNTER, (), "CPU seconds of it: less where other work uses the cores too."
)
COALESCED = Metric("fibonacci_coalesced_jobs", Kind.COUNTER, (), "Parts of jobs that shared a batch with other jobs.")
RETRIES = Metric("fibonacci_retries", Kind.COUNTER, ("cause",), "Parts of jobs that had to be computed again.")
VERIFICATION_FAILURES = Metric(
    "fibonacci_verification_failures", Kind.COUNTER, (), "Batches of which a part was computed wrong; no job got it."
)
QUEUED_JOBS = Metric(
    "fibonacci_queued_jobs", Kind.GAUGE, (), "Jobs of this ingress of which a part has not been sent to any worker."
)
UNFINISHED_JOBS = Metric(
    "fibonacci_unfinished_jobs", Kind.GAUGE, (), "Jobs of this ingress, admitted and not answered."
)
DRAIN = Metric(
    "fibonacci_predicted_drain_seconds",
    Kind.GAUGE,
    (),
    "Predicted seconds until all that this ingress has admitted is computed.",
)
DRAIN_LIMIT = Metric("fibonacci_max_queued_seconds", Kind.GAUGE, (), "The setting, to compare with.")
WORKERS = Metric(
    "fibonacci_workers",
    Kind.GAUGE,
    ("state",),
    "Workers as this ingress sees them: `busy` with its batches, `idle`, or `late`, with a batch that should be back.",
)
DURABLE_JOBS = Metric(
    "fibonacci_durable_jobs",
    Kind.GAUGE,
    ("state",),
    "Durable jobs of the whole service; missing while there is no store.",
)
WORKER_BUSY = Metric(
    "fibonacci_worker_busy_seconds", Kind.COUNTER, (), "Seconds that this worker has computed, in vain or not."
)
CANCELS = Metric("fibonacci_cancels", Kind.COUNTER, (), "Batches that were cancelled on this worker.")
CANCEL_SECONDS = Metric(
    "fibonacci_cancel_seconds", Kind.COUNTER, (), "Seconds that cancelled batches still held its compute thread."
)

METRICS = (
    JOBS, REFUSALS, PREDICTED, JOB_QUEUED, JOB_COMPUTED, JOB_DURATION, BATCHES, BATCH_PREDICTED, BATCH_COMPUTED,
    BATCH_CPU, COALESCED, RETRIES, VERIFICATION_FAILURES, QUEUED_JOBS, UNFINISHED_JOBS, DRAIN, DRAIN_LIMIT, WORKERS,
    DURABLE_JOBS, WORKER_BUSY, CANCELS, CANCEL_SECONDS,
)  # fmt: skip

"""The errors that a job can end in. What each becomes over HTTP is defined once, in ``app.http.problems``.

* JobError
  + RefusedError         nothing was computed
    - TooCostlyError      422: it alone exceeds the limit
    - QueueFullError      429: its predicted wait is too long, or too many jobs are held
    - CallerLimitError    429: its caller, a key's name, has too much unfinished work
    - DrainingError       503: the service is shutting down
  + NoWorkerError       503: no worker for too long
  + DeadlineError       504: the job's deadline has passed
  + ComputationError    500: a part of it failed on three workers, or failed its check twice
  + JobsUnavailableError  503: durable jobs cannot be kept or read now
  + NoSuchJobError      404: no durable job of this caller has that id
  + KeyReusedError      422: the Idempotency-Key was sent with another job
  + GaveUpError         a durable job was gone on with several times, and got no further
* WorkerLostError       never leaves the dispatcher: a worker died or left with a batch
"""


class JobError(Exception):
    """A job that ends without a result."""


class RefusedError(JobError):
    """Not admitted: nothing was computed."""


class TooCostlyError(RefusedError):
    """The job alone is predicted to exceed the limit, in core-seconds."""

    def __init__(self, predicted_compute_seconds: float, max_compute_seconds: float) -> None:
        super().__init__(predicted_compute_seconds, max_compute_seconds)
        self.predicted_compute_seconds = predicted_compute_seconds
        self.max_compute_seconds = max_compute_seconds


class QueueFullError(RefusedError):
    """The job's predicted wait in the fair queue is too long, or too many jobs are held already."""

    def __init__(self, reason: str, retry_after_seconds: int) -> None:
        super().__init__(reason, retry_after_seconds)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class CallerLimitError(RefusedError):
    """The caller, known by its API key, has too much unfinished work; other callers are unaffected."""

    def __init__(self, reason: str, retry_after_seconds: int) -> None:
        super().__init__(reason, retry_after_seconds)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class DrainingError(RefusedError):
    """The service is shutting down and accepts no new jobs."""


class NoWorkerError(JobError):
    """No worker was alive for this many seconds."""

    def __init__(self, waited_seconds: float) -> None:
        super().__init__(waited_seconds)
        self.waited_seconds = waited_seconds


class DeadlineError(JobError):
    """The job was not finished within its own ``timeout_seconds``."""

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(timeout_seconds)
        self.timeout_seconds = timeout_seconds


class ComputationError(JobError):
    """A part of the job failed its check twice, or lost every worker it was given to."""


class JobsUnavailableError(JobError):
    """Durable jobs cannot be accepted, read or cancelled now; those that were accepted are safe."""

    def __init__(self, reason: str, retry_after_seconds: int = 5) -> None:
        super().__init__(reason, retry_after_seconds)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class NoSuchJobError(JobError):
    """No job of this caller has that id: there never was one, it has expired, or it is somebody else's."""


class KeyReusedError(JobError):
    """The caller sent the same Idempotency-Key with another job before."""


class GaveUpError(JobError):
    """A durable job was gone on with so many times in a row without getting any further."""

    def __init__(self, times: int) -> None:
        super().__init__(times)
        self.times = times


class WorkerLostError(Exception):
    """The worker died, left or cannot be reached; what it was computing is lost."""

    def __init__(self, worker_id: str, was_running: bool = True) -> None:
        super().__init__(worker_id, was_running)
        self.worker_id = worker_id
        self.was_running = was_running
        """Whether the batch may have been on the worker: only then has it used up an attempt."""

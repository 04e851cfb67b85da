"""Several that look on, as one."""

from app.observer import EndedBatch, EndedJob, Observer, RetryCause


class Observers:
    """Tells each of them in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def batch_ended(self, batch: EndedBatch) -> None:
        """As ``Observer`` says, and so are the others."""
        for observer in self._observers:
            observer.batch_ended(batch)

    def retried(self, cause: RetryCause) -> None:
        for observer in self._observers:
            observer.retried(cause)

    def job_ended(self, job: EndedJob) -> None:
        for observer in self._observers:
            observer.job_ended(job)

"""Several that look on, as one."""

import logging

from app.observer import EndedBatch, EndedJob, Observer, RetryCause

logger = logging.getLogger("ray.serve")  # as in app.http.problems


class Observers:
    """Tells each of them in turn. One that raises is no harm to the others, nor to any job."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._failed: set[type] = set()

    def batch_ended(self, batch: EndedBatch) -> None:
        """As ``Observer`` says, and so are the others."""
        for observer in self._observers:
            try:
                observer.batch_ended(batch)
            except Exception:  # noqa: BLE001 (whatever it is; and it costs nothing until something is raised)
                self._note(observer)

    def retried(self, cause: RetryCause) -> None:
        for observer in self._observers:
            try:
                observer.retried(cause)
            except Exception:  # noqa: BLE001 (as above)
                self._note(observer)

    def job_ended(self, job: EndedJob) -> None:
        for observer in self._observers:
            try:
                observer.job_ended(job)
            except Exception:  # noqa: BLE001 (as above)
                self._note(observer)

    def _note(self, observer: Observer) -> None:
        """Say it once of each: it may happen with every batch."""
        if type(observer) not in self._failed:
            self._failed.add(type(observer))
            logger.exception("%s cannot note what happens", type(observer).__name__)

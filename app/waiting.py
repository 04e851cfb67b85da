"""The jobs with terms that no worker has been given yet: whose turn it is, and how much of it goes into a batch."""

from app.cost import CostModel, work_of_segments
from app.fair_queue import JobQueue
from app.flights import SHORT_SECONDS
from app.line import Line
from app.progress import Piece, Progress
from app.settings import Settings

GUIDED_FACTOR = 2
"""k of guided self-scheduling (Polychronopoulos and Kuck, 1987): a batch is 1/(k * workers) of what is left."""


class WaitingJobs:
    """Batches are cut off the jobs in the fair queue's order."""

    def __init__(self, settings: Settings, cost: CostModel) -> None:
        self._settings = settings
        self._cost = cost
        self._queue = JobQueue()
        self._jobs: dict[int, Progress] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, progress: Progress) -> None:
        """Queue a job."""
        self._jobs[progress.number] = progress
        self._queue.add(progress.job.caller, progress.number)

    def remove(self, progress: Progress) -> None:
        """Take a job out, if it is still there."""
        self._jobs.pop(progress.number, None)
        self._queue.remove(progress.job.caller, progress.number)

    def set_aside(self, progress: Progress) -> None:
        """Pass over the job, which has to wait for something that others need not wait for."""
        self._queue.set_aside(progress.job.caller, progress.number)

    def bring_back(self) -> None:
        """Pass over no job any more."""
        self._queue.bring_back()

    def refund(self, progress: Progress, seconds: float) -> None:
        """The job has ended before so much of what its caller was charged with was computed."""
        self._queue.refund(progress.job.caller, seconds)

    def peek(self) -> Progress | None:
        """The job that is furthest behind, of those not set aside; None if there is none."""
        number = self._queue.peek()
        return None if number is None else self._jobs[number]

    def cut_batch(self, progress: Progress, num_workers: int) -> list[Piece]:
        """The next stretch of ``progress``, the one that ``peek`` named; small jobs that wait behind it ride along.

        ``num_workers``: at least 1.
        """
        pieces = [self._cut(progress, self._target_seconds(progress.line, num_workers))]
        seconds = pieces[0].seconds
        while seconds < SHORT_SECONDS and (rider := self.peek()) is not None:
            rest = rider.line.remaining_seconds
            if rider is progress or seconds + rest > SHORT_SECONDS:
                break
            pieces.append(self._cut(rider, rest))
            seconds += pieces[-1].seconds
        return pieces

    def _target_seconds(self, line: Line, num_workers: int) -> float:
        """Guided self-scheduling between a floor and a ceiling; both grow with what the ingress can dispatch."""
        settings = self._settings
        round_seconds = num_workers * settings.dispatch_cpu_seconds  # to send every worker one batch
        floor = line.floor_seconds(max(settings.batch_floor_seconds, round_seconds))
        ceiling = max(settings.batch_ceiling_seconds, 2 * round_seconds, floor)
        return min(max(line.remaining_seconds / (GUIDED_FACTOR * num_workers), floor), ceiling)

    def _cut(self, progress: Progress, seconds: float) -> Piece:
        sequence = progress.line.sequence
        segments = progress.line.cut(seconds)
        predicted = self._cost.seconds(work_of_segments(segments))
        self._queue.serve(progress.job.caller, progress.number, predicted)
        if progress.line.exhausted:
            self.remove(progress)
        progress.out_seconds += predicted
        return Piece(progress, segments, sequence, predicted)

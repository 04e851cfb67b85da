"""A job while it is live: what has come back so far, and its result in the end."""

import asyncio
from collections.abc import Sequence

from app.errors import JobError
from app.job import BatchRecord, BatchResult, Job, JobResult, Segment, SegmentResult, Timing
from app.kernel import Part
from app.observer import EndedJob, JobOutcome, RunningJob, outcome_of
from app.queue.lanes import Lane
from app.queue.progress import Coverage, Progress
from app.queue.remainder import Remainder
from app.queue.seams import Dispute, Held, Seams, Verdict

MAX_BATCH_RECORDS = 1_000


class Piece:
    """One job's part of a batch. It keeps its identity when it has to be sent again."""

    __slots__ = (
        "failed_checks", "first_line", "is_referee", "lane", "late", "live_job", "record", "returned",
        "seconds", "segments", "shunned", "used_attempts", "worker_ids",
    )  # fmt: skip

    def __init__(
        self,
        live_job: "LiveJob",
        segments: tuple[Segment, ...],
        first_line: int,
        seconds: float,
        lane: Lane,
    ) -> None:
        self.live_job = live_job
        self.segments = segments
        self.first_line = first_line
        self.seconds = seconds
        self.lane = lane
        self.used_attempts = 0
        """Attempts used up: workers lost with it, errors raised, checks failed."""
        self.failed_checks = 0
        self.late = False
        """It was not back in time, and has been sent to a second worker."""
        self.returned = False
        self.record: BatchRecord | None = None
        self.shunned: tuple[str, ...] = ()
        """The workers that lost it or got it wrong, the worst first: it goes to others if there are any."""
        self.is_referee = False
        """Whether it is there to find what stands at a seam, which its one, empty segment is at."""
        self.worker_ids: list[str] = []
        """The workers that have it: none, one, or more if it was late on one."""

    @property
    def wanted(self) -> bool:
        """Whether its result is still needed."""
        return not self.returned and self.live_job.alive

    @property
    def num_units(self) -> int:
        """In all lines of all its segments."""
        return sum((segment.stop - segment.start) * segment.count for segment in self.segments)

    def again(self, segment: Segment, line: int, wrong_worker_id: str) -> "Piece":
        """One segment of this piece, which failed its check, as a piece of its own."""
        piece = Piece(self.live_job, (segment,), line, 0.0, self.lane)
        piece.used_attempts = self.used_attempts + 1
        piece.failed_checks = self.failed_checks + 1
        piece.shunned = (wrong_worker_id,)
        piece.is_referee = self.is_referee
        return piece

    def referee(self, dispute: Dispute) -> "Piece":
        """A piece that decides a dispute in which this one takes part."""
        here = Segment(self.live_job.job.task, dispute.place, dispute.place)
        piece = Piece(self.live_job, (here,), dispute.line, 0.0, self.lane)
        piece.shunned = dispute.distrusted
        piece.is_referee = True
        return piece


class LiveJob:
    """A live job: what of it has not been handed out yet, and the tally of what has come back."""

    def __init__(
        self, number: int, job: Job, remainder: Remainder, now: float, progress: Progress | None = None
    ) -> None:
        """``progress``: what of it is done already; the remainder must know it, too."""
        before = progress or Progress()
        self.number = number
        self.job = job
        self.remainder = remainder
        self.accepted_at = now
        self.predicted_seconds = self.unfinished_seconds = remainder.seconds
        self.core_seconds = remainder.core_seconds
        self.out_seconds = 0.0
        """Predicted seconds of the pieces that were cut off and have not come back."""
        self.finished: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._queued_seconds: float | None = None
        self._counts: list[int] = []
        self._coverage = Coverage.of(job.task, before)
        self._seams = Seams()
        self._pieces: dict[Held, Piece] = {}
        """What each segment that is not known to be right came back in."""
        self._num_segments = before.num_segments
        self._num_recomputed = before.num_recomputed
        self._num_batches = before.num_batches
        self._num_former_workers = before.num_workers
        self._compute_seconds = before.compute_seconds
        self._workers: set[str] = set()
        self._records: list[BatchRecord] = []

    @property
    def alive(self) -> bool:
        """Whether somebody still waits for the result."""
        return not self.finished.done()

    @property
    def succeeded(self) -> bool:
        """Whether the result is there."""
        finished = self.finished
        return finished.done() and not finished.cancelled() and finished.exception() is None

    def accept(self, now: float) -> None:
        """The job is admitted, and takes part from now on; nothing in proportion to its size is made before."""
        task = self.job.task
        self.accepted_at = now
        self._counts = [0] * task.num_lines
        for start, stop in self._coverage.whole:
            self._counts[start:stop] = [task.length] * (stop - start)
        for line, start, stop, part in self._coverage.begun:
            self._counts[line] += stop - start
            if start > 0:
                self._seams.know(line, start, part.opens)
            if stop < task.length:
                self._seams.know(line, stop, part.closes)
        if self._coverage.complete:
            self.finished.set_result(self._result(now))

    @property
    def progress(self) -> Progress:
        """What is done and right."""
        return Progress(
            whole=self._coverage.whole,
            begun=self._coverage.begun,
            part=self._coverage.part,
            num_segments=self._num_segments,
            num_recomputed=self._num_recomputed,
            num_batches=self._num_batches,
            num_workers=self._num_workers,
            compute_seconds=self._compute_seconds,
        )

    @property
    def compute_seconds(self) -> float:
        """Seconds of computing that have come back."""
        return self._compute_seconds

    @property
    def begun(self) -> bool:
        """Whether a batch of it has been sent."""
        return self._queued_seconds is not None

    @property
    def running(self) -> RunningJob:
        """The job, to those who look on."""
        # What is left is predicted anew all the time: what was predicted at admission does not compare with it.
        all_seconds = self._compute_seconds + self.unfinished_seconds
        progress = self._compute_seconds / all_seconds if all_seconds > 0 else 0.0
        return RunningJob(
            self.job, self.begun, self.accepted_at, self.predicted_seconds, progress,
            self._compute_seconds, self._num_batches,
        )  # fmt: skip

    def ended(self, error: BaseException | None, now: float) -> EndedJob:
        """The job once it is over, to the same; ``error``: what it ended in, unless it has a result."""
        if self.succeeded:
            result = self.finished.result()
            ended_at = self.accepted_at + result.timing.total_seconds
            return EndedJob(
                self.job, JobOutcome.SUCCEEDED, None, self.accepted_at, ended_at, self.predicted_seconds, result
            )
        return EndedJob(self.job, outcome_of(error), error, self.accepted_at, now, self.predicted_seconds, None)

    def fail(self, error: JobError) -> None:
        """End the job with this error, unless it has ended."""
        if self.alive:
            self.finished.set_exception(error)

    def dispatched(self, piece: Piece, worker_id: str, now: float) -> None:
        """Note that a piece of this job goes to a worker, for the first time or again."""
        if self._queued_seconds is None:
            self._queued_seconds = now - self.accepted_at
        if piece.record is None:
            piece.record = BatchRecord(worker_id, "", 0, 0, 0.0, 0.0, 0.0, 0.0)
            self._num_batches += 1
            if len(self._records) < MAX_BATCH_RECORDS:
                self._records.append(piece.record)

    def returned(
        self,
        piece: Piece,
        result: BatchResult,
        results: Sequence[SegmentResult],
        dispatched_at: float,
        now: float,
    ) -> list[Piece]:
        """Count what a worker did; returns what has to be computed therefore: what was wrong, and referees.

        Raises ``ComputationError`` if what was found cannot be joined, or no two workers agree.
        """
        piece.returned = True
        line = piece.first_line
        num_units = 0
        again: list[Piece] = []
        for segment, done in zip(piece.segments, results, strict=True):
            expected = (segment.stop - segment.start) * segment.count
            if not done.verified or (done.num_units, done.count) != (expected, segment.count):
                again.append(self._again(piece, segment, line, result.worker_id))
            elif piece.is_referee:
                found = (done.part or Part()).opens
                again += self._judged(self._seams.judge(line, segment.start, result.worker_id, found), piece)
            else:
                num_units += done.num_units
                held = Held(segment, line, done, result.worker_id)
                self._pieces[held] = piece
                again += self._judged(self._seams.add(held), piece)
            line += segment.count if segment.stop == self.job.task.length else 0
        compute_seconds = sum(done.compute_seconds for done in results)
        self._compute_seconds += compute_seconds
        self._workers.add(result.worker_id)
        if (record := piece.record) is not None:
            record.worker_id, record.node_id = result.worker_id, result.node_id
            record.num_units, record.attempts = num_units, piece.used_attempts + 1
            record.dispatched_at_seconds = dispatched_at - self.accepted_at
            record.returned_at_seconds = now - self.accepted_at
            record.worker_queued_seconds = result.queued_seconds
            record.compute_seconds = compute_seconds
        if self._coverage.complete and self.alive:
            self.finished.set_result(self._result(now))
        return again

    def _judged(self, verdict: Verdict, piece: Piece) -> list[Piece]:
        for held in verdict.right:
            del self._pieces[held]
            self._count(held.segment, held.done, held.line)
        again = [self._undo(held) for held in verdict.wrong]
        return again + [piece.referee(dispute) for dispute in verdict.disputes]

    def _undo(self, held: Held) -> Piece:
        piece = self._pieces.pop(held)
        if piece.record is not None:
            piece.record.num_units -= held.done.num_units
        return self._again(piece, held.segment, held.line, held.worker_id)

    def _again(self, piece: Piece, segment: Segment, line: int, worker_id: str) -> Piece:
        self._num_recomputed += segment.count * (not piece.is_referee)
        return piece.again(segment, line, worker_id)

    def _count(self, segment: Segment, done: SegmentResult, line: int) -> None:
        self._num_segments += done.count
        for i in range(line, line + done.count):
            self._counts[i] += done.num_units // done.count
        self._coverage.add(segment, line, done.part or Part())

    @property
    def _num_workers(self) -> int:
        return self._num_former_workers + len(self._workers)

    def _result(self, now: float) -> JobResult:
        total_seconds = now - self.accepted_at
        timing = Timing(
            total_seconds=total_seconds,
            queued_seconds=self._queued_seconds or 0.0,
            compute_seconds=self._compute_seconds,
            num_workers=self._num_workers,
            num_batches=self._num_batches,
            predicted_compute_seconds=self.predicted_seconds,
        )
        return JobResult(
            self.job, self._counts, self._coverage.part or Part(), self._num_segments, self._num_recomputed,
            timing, self._records,
        )  # fmt: skip

"""What has come back of one job so far, and its result in the end."""

import asyncio
from collections.abc import Sequence

from app.errors import JobError
from app.job import BatchRecord, BatchResult, Job, JobResult, Segment, SegmentResult, Timing
from app.kernels.fibonacci.terms import LastTerm
from app.queue.lanes import Lane
from app.queue.line import Line

MAX_BATCH_RECORDS = 1_000


class Piece:
    """One job's part of a batch. It keeps its identity when it has to be sent again."""

    __slots__ = (
        "failed_checks", "first_sequence", "lane", "late", "progress", "record", "returned",
        "seconds", "segments", "shunned_worker_id", "used_attempts", "worker_ids",
    )  # fmt: skip

    def __init__(
        self,
        progress: "Progress",
        segments: tuple[Segment, ...],
        first_sequence: int,
        seconds: float,
        lane: Lane,
    ) -> None:
        self.progress = progress
        self.segments = segments
        self.first_sequence = first_sequence
        self.seconds = seconds
        self.lane = lane
        self.used_attempts = 0
        """How often a worker was lost with it, failed at it, or got it wrong."""
        self.failed_checks = 0
        self.late = False
        """It was not back in time, and has been sent to a second worker."""
        self.returned = False
        self.record: BatchRecord | None = None
        self.shunned_worker_id: str | None = None
        """The worker that lost it or got it wrong: it goes to another if there is one."""
        self.worker_ids: list[str] = []
        """The workers that have it: none, one, or more if it was late on one."""

    @property
    def wanted(self) -> bool:
        """Whether its result is still waited for."""
        return not self.returned and self.progress.alive

    def again(self, segment: Segment, sequence: int, wrong_worker_id: str) -> "Piece":
        """One segment of this piece, which failed its check, as a piece of its own."""
        piece = Piece(self.progress, (segment,), sequence, 0.0, self.lane)
        piece.used_attempts = self.used_attempts + 1
        piece.failed_checks = self.failed_checks + 1
        piece.shunned_worker_id = wrong_worker_id
        return piece


class Progress:
    """A live job: its line of terms not yet handed out, and the tally of what came back."""

    def __init__(self, number: int, job: Job, line: Line, now: float) -> None:
        self.number = number
        self.job = job
        self.line = line
        self.accepted_at = now
        self.predicted_seconds = self.unfinished_seconds = line.remaining_seconds
        self.core_seconds = line.core_seconds
        self.out_seconds = 0.0
        """Predicted seconds of the pieces that were cut off and have not come back."""
        self.finished: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._queued_seconds: float | None = None
        self._sizes: list[int] = []
        self._missing_terms = job.sequence_size * job.num_sequences
        self._missing_sequences = job.num_sequences  # what counts when they are all empty
        self._last_term: LastTerm | None = None
        self._num_segments = 0
        self._num_recomputed = 0
        self._num_batches = 0
        self._compute_seconds = 0.0
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
        """The job is admitted and takes part from now on; what is in proportion to its size is not made before."""
        self.accepted_at = now
        self._sizes = [0] * self.job.num_sequences

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
        """Count what a worker did; returns what failed its check, as pieces to compute again."""
        piece.returned = True
        sequence = piece.first_sequence
        num_terms = 0
        wrong: list[Piece] = []
        for segment, done in zip(piece.segments, results, strict=True):
            expected = (segment.stop - segment.start) * segment.count
            if done.verified and (done.num_terms, done.count) == (expected, segment.count):
                num_terms += done.num_terms
                self._count(segment, done, sequence)
            else:
                self._num_recomputed += segment.count
                wrong.append(piece.again(segment, sequence, result.worker_id))
            sequence += segment.count if segment.stop == self.job.sequence_size else 0
        compute_seconds = sum(done.compute_seconds for done in results)
        self._compute_seconds += compute_seconds
        self._workers.add(result.worker_id)
        if (record := piece.record) is not None:
            record.worker_id, record.node_id = result.worker_id, result.node_id
            record.num_terms, record.attempts = num_terms, piece.used_attempts + 1
            record.dispatched_at_seconds = dispatched_at - self.accepted_at
            record.returned_at_seconds = now - self.accepted_at
            record.worker_queued_seconds = result.queued_seconds
            record.compute_seconds = compute_seconds
        if self._missing_terms == 0 and self._missing_sequences == 0 and self.alive:
            self.finished.set_result(self._result(now))
        return wrong

    def _count(self, segment: Segment, done: SegmentResult, sequence: int) -> None:
        self._num_segments += done.count
        self._missing_terms -= done.num_terms
        for i in range(sequence, sequence + done.count):
            self._sizes[i] += done.num_terms // done.count
        if segment.stop == self.job.sequence_size:
            self._missing_sequences -= done.count
        self._last_term = done.last_term or self._last_term

    def _result(self, now: float) -> JobResult:
        total_seconds = now - self.accepted_at
        timing = Timing(
            total_seconds=total_seconds,
            queued_seconds=self._queued_seconds or 0.0,
            compute_seconds=self._compute_seconds,
            num_workers=len(self._workers),
            num_batches=self._num_batches,
            predicted_compute_seconds=self.predicted_seconds,
        )
        return JobResult(
            self.job, self._sizes, self._last_term, self._num_segments, self._num_recomputed,
            timing, self._records,
        )  # fmt: skip

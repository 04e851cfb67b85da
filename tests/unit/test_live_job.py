"""What has come back of a job: whose units they are, and what is said of each batch."""

from collections.abc import Callable
from dataclasses import replace

from app.job import BatchResult, Job, Segment, SegmentResult
from app.queue.cost import CostModel
from app.queue.lanes import Lane
from app.queue.live_job import LiveJob, Piece
from app.queue.remainder import Remainder
from harness.virtual_time import run_virtually
from tests.tasks import job_of, segment

ACCEPTED_AT = 10.0
REST_AND_TWO = (segment(40, 100), segment(0, 100, 2))
"""Of lines of 100 units: what is left of one, and two whole ones."""


def with_live_job(job: Job, use: Callable[[LiveJob], None]) -> None:
    """A job accepted when the clock read 10 s."""

    async def main() -> None:
        live_job = LiveJob(0, job, Remainder(job, CostModel()), 0.0)
        live_job.accept(ACCEPTED_AT)
        use(live_job)

    run_virtually(main())


def right(segment: Segment) -> SegmentResult:
    return SegmentResult(
        (segment.stop - segment.start) * segment.count, segment.count, verified=True, compute_seconds=0.5
    )


def come_back(piece: Piece, results: list[SegmentResult]) -> list[Piece]:
    """Sent to w1 at 11 s, back at 14 s."""
    piece.live_job.dispatched(piece, "w1", 11.0)
    return piece.live_job.returned(piece, BatchResult("w1", "node", (), 0.25, 0.5), results, 11.0, 14.0)


def test_every_segment_counts_for_its_own_lines() -> None:
    def use(live_job: LiveJob) -> None:
        whole, part = (segment(0, 100),), (segment(0, 40, length=100),)
        for first_line, segments in [(1, REST_AND_TWO), (0, whole), (1, part)]:
            assert live_job.alive
            come_back(Piece(live_job, segments, first_line, 0.0, Lane.FULL), list(map(right, segments)))
        result = live_job.finished.result()
        assert result.counts == [100] * 4
        assert {type(size) for size in result.counts} == {int}
        assert (result.num_segments, result.num_recomputed) == (5, 0)

    with_live_job(job_of(100, 4), use)


def test_a_record_tells_its_times_since_the_jobs_acceptance() -> None:
    def use(live_job: LiveJob) -> None:
        piece = Piece(live_job, REST_AND_TWO, 0, 0.0, Lane.FULL)
        come_back(piece, list(map(right, REST_AND_TWO)))
        record = piece.record
        assert record is not None
        assert (record.worker_id, record.node_id, record.num_units, record.attempts) == ("w1", "node", 260, 1)
        assert (record.dispatched_at_seconds, record.returned_at_seconds) == (1.0, 4.0)
        assert (record.worker_queued_seconds, record.compute_seconds) == (0.25, 1.0)

    with_live_job(job_of(100, 4), use)


def test_all_that_is_wrong_goes_again_as_pieces_of_their_own() -> None:
    def use(live_job: LiveJob) -> None:
        piece = Piece(live_job, REST_AND_TWO, 1, 0.0, Lane.FULL)
        again = come_back(piece, [replace(right(segment), verified=False) for segment in REST_AND_TWO])
        rest, two = REST_AND_TWO
        assert [(wrong.segments, wrong.first_line) for wrong in again] == [((rest,), 1), ((two,), 2)]
        assert {(wrong.used_attempts, wrong.failed_checks, wrong.shunned) for wrong in again} == {(1, 1, ("w1",))}
        for wrong in again:
            come_back(wrong, [right(segment) for segment in wrong.segments])
        come_back(Piece(live_job, (segment(0, 100),), 0, 0.0, Lane.FULL), [right(segment(0, 100))])
        part = segment(0, 40, length=100)
        come_back(Piece(live_job, (part,), 1, 0.0, Lane.FULL), [right(part)])
        assert live_job.finished.result().num_recomputed == 3

    with_live_job(job_of(100, 4), use)

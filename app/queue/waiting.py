"""The jobs of which a part has not been given to any worker: which is next, and how much of it goes into a batch."""

import math

from app.queue.cost import CostModel
from app.queue.fair_queue import JobQueue
from app.queue.lanes import GATHERED_SECONDS, Lane, lane_of
from app.queue.live_job import LiveJob, Piece
from app.queue.remainder import Remainder
from app.settings import Settings

GUIDED_FACTOR = 2
"""k of guided self-scheduling (Polychronopoulos and Kuck, 1987): a batch is 1/(k * workers) of what is left. While
other jobs wait, only a job's share of the workers counts."""
LEAST_CUTS = 20
"""A piece costs at least so many times its own cut while other jobs wait."""
LEAST_CUTS_ALONE = 6
"""If no other job waits: pieces of half the size end it sooner by a quarter of one, and cost a worker 1.4 cuts more."""
MOST_CUTS = 32
"""A piece of so many cuts is never too long: they cost 3 % of it."""


class WaitingJobs:
    """Batches are cut off the jobs in the order of fair queues, one for each lane."""

    def __init__(self, settings: Settings, cost: CostModel) -> None:
        self._settings = settings
        self._cost = cost
        self._queues = {lane: JobQueue() for lane in Lane}
        self._jobs: dict[int, LiveJob] = {}
        self._entered: dict[int, tuple[Lane, float]] = {}
        """The lane that each job waits in, and the core-seconds that it had left when it entered."""
        self._express_core_seconds = 0.0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def express_core_seconds(self) -> float:
        """What the jobs that wait in the express lane are predicted to cost."""
        return self._express_core_seconds

    def add(self, live_job: LiveJob) -> None:
        """Queue a job."""
        self._jobs[live_job.number] = live_job
        self._enter(live_job)

    def remove(self, live_job: LiveJob) -> None:
        """Take a job out, if it is still there."""
        if self._jobs.pop(live_job.number, None) is not None:
            self._exit(live_job)

    def refund(self, piece: Piece, seconds: float) -> None:
        """Take back a charge for ``seconds`` of a piece whose job ended before they were computed."""
        self._queues[piece.lane].refund(piece.live_job.job.caller, seconds)

    def peek(self, lane: Lane) -> LiveJob | None:
        """The job that is furthest behind in the lane; None if there is none."""
        number = self._queues[lane].peek()
        return None if number is None else self._jobs[number]

    def cut_batch(self, live_job: LiveJob, num_workers: int, num_idle: int) -> list[Piece]:
        """The next piece of ``live_job``, one that ``peek`` named; small jobs of its kernel that wait ride along.

        ``num_workers``: at least 1; of these, ``num_idle`` have nothing to do.
        """
        pieces = [self._cut(live_job, self._target_seconds(live_job.remainder, num_workers, num_idle))]
        seconds, kernel = pieces[0].seconds, live_job.job.task.kernel
        limit_seconds = GATHERED_SECONDS / self._cost.speed if pieces[0].lane is Lane.EXPRESS else 0.0
        while seconds < limit_seconds and (rider := self.peek(Lane.EXPRESS)) is not None:
            rest = rider.remainder.seconds
            if rider is live_job or seconds + rest > limit_seconds or rider.job.task.kernel != kernel:
                break
            pieces.append(self._cut(rider, rest))
            seconds += pieces[-1].seconds
        return pieces

    def _target_seconds(self, remainder: Remainder, num_workers: int, num_idle: int) -> float:
        """Guided self-scheduling between a floor and a ceiling; both grow with what the ingress can dispatch.

        Where workers have nothing to do, and nothing else waits for them, only ``batch_floor_seconds`` is a floor.
        """
        settings = self._settings
        is_alone = len(self._jobs) == 1
        round_seconds = num_workers * settings.dispatch_cpu_seconds  # to send every worker one batch
        overhead = (LEAST_CUTS_ALONE if is_alone else LEAST_CUTS) * remainder.cut_seconds
        floor = max(settings.batch_floor_seconds, round_seconds, overhead)
        ceiling = max(settings.batch_ceiling_seconds, 2 * round_seconds, MOST_CUTS * remainder.cut_seconds, floor)
        guided = remainder.seconds * len(self._jobs) / (GUIDED_FACTOR * num_workers)
        target = min(max(guided, floor), ceiling)
        if is_alone and num_idle > 1:
            return min(target, max(settings.batch_floor_seconds, self._soonest_seconds(remainder, num_idle)))
        return target

    def _soonest_seconds(self, remainder: Remainder, num_idle: int) -> float:
        """With a piece of so many seconds for each idle worker, and later ones smaller, all end at the same time.

        Sending takes its time: to the n-th, n times ``dispatch_cpu_seconds``. So it is not worth while to send to more
        than the square root of twice the work in units of that.
        """
        send_seconds, seconds = self._settings.dispatch_cpu_seconds, remainder.seconds
        pieces = min(num_idle, max(1, int(math.sqrt(2 * seconds / send_seconds)))) if send_seconds > 0 else num_idle
        return seconds / pieces + pieces * send_seconds / 2 + remainder.mean_cut_seconds

    def _cut(self, live_job: LiveJob, seconds: float) -> Piece:
        lane, _ = self._entered[live_job.number]
        line = live_job.remainder.line
        segments = live_job.remainder.cut(seconds)
        predicted = self._cost.batch_seconds(segments)
        self._queues[lane].serve(live_job.job.caller, live_job.number, predicted)
        live_job.out_seconds += predicted
        if live_job.remainder.exhausted:
            self.remove(live_job)
        elif lane_of(live_job.job, live_job.remainder.core_seconds) is not lane:
            self._exit(live_job)
            self._enter(live_job)
        return Piece(live_job, segments, line, predicted, lane)

    def _enter(self, live_job: LiveJob) -> None:
        core_seconds = live_job.remainder.core_seconds
        lane = lane_of(live_job.job, core_seconds)
        self._entered[live_job.number] = lane, core_seconds
        self._queues[lane].add(live_job.job.caller, live_job.number)
        self._express_core_seconds += core_seconds * (lane is Lane.EXPRESS)

    def _exit(self, live_job: LiveJob) -> None:
        lane, core_seconds = self._entered.pop(live_job.number)
        self._queues[lane].remove(live_job.job.caller, live_job.number)
        self._express_core_seconds -= core_seconds * (lane is Lane.EXPRESS)
        if not self._jobs:
            self._express_core_seconds = 0.0  # or rounding would add up

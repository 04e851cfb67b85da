"""Jobs beside others that keep coming: nobody waits for ever, and equals are served alike."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from chaos.jobs import JobSpec
from chaos.load import all_at_once, closed_loop
from chaos.outcome import Check, Outcome, outcome_of
from chaos.record import Record
from chaos.stage import Stage
from harness import bounds

CALLERS = 32
TINY = JobSpec(28_000, 1)
"""3 ms."""
DEFAULT_SIZE = JobSpec(100_000, 1)
"""20 ms."""
LONGER = {"local": JobSpec(1_000_000, 1, local=True), "distributed": JobSpec(400_000, 10)}
"""About two core-seconds each: in one call, and cut over the pool."""
ROUNDS = 3


def beside_tiny(stage: Stage, seconds: float = 12) -> Outcome:
    """Longer jobs beside callers who post tiny ones as fast as they are answered."""
    records, checks = [], []
    for name, job in LONGER.items():
        alone = [all_at_once(stage.url, [job]) for _ in range(ROUNDS)]
        with ThreadPoolExecutor(1) as others:
            crowd = others.submit(closed_loop, stage.url, CALLERS, ROUNDS * seconds, TINY)
            time.sleep(seconds / 4)
            beside = [all_at_once(stage.url, [job]) for _ in range(ROUNDS)]
            records += [*alone, *beside, crowd.result()]
        times = _median_seconds(beside) / _median_seconds(alone)
        attempts = max(request.attempts for record in beside for request in record.succeeded)
        checks += [
            Check(f"{name}, beside / alone", times, bounds.TIMES_ALONE),
            Check(f"{name}, alone, s", _median_seconds(alone)),
            Check(f"{name}, most attempts", attempts, 1, quiet=True),
        ]
    return outcome_of(_joined(records), *checks, *stage.left_behind())


def served_alike(stage: Stage, seconds: float = 30) -> Outcome:
    """Every caller posts one sequence of the default size, again and again."""
    closed_loop(stage.url, CALLERS, seconds / 3, DEFAULT_SIZE)  # the service learns what they cost beside each other
    record = closed_loop(stage.url, CALLERS, seconds, DEFAULT_SIZE)
    p50, p99 = record.percentile_ms(50), record.percentile_ms(99)
    return outcome_of(
        record,
        Check("p99 / p50", p99 / p50, bounds.SERVED_ALIKE),
        Check("jobs/s", len(record.succeeded) / seconds),
        *stage.left_behind(),
    )


def _median_seconds(records: list[Record]) -> float:
    return statistics.median(request.seconds for record in records for request in record.succeeded)


def _joined(records: list[Record]) -> Record:
    joined = Record()
    for record in records:
        joined.requests += record.requests
    return joined

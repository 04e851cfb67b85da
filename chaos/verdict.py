"""Which promises about durable jobs a history breaks. Nothing here asks the service: it can be judged at any time."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from itertools import accumulate

from app.durable.records import State
from chaos.history import Act, End, History, Operation
from chaos.jobs import true_digest
from chaos.outcome import Check, Outcome
from harness.figures import percentile

RANKS = {State.QUEUED: 0, State.RUNNING: 1}
OVER = 2
Operations = list[Operation]


def lost(operations: Operations) -> bool:
    """Accepted, and then the service did not know it, or nobody ever saw it end."""
    known_at = min((each.ended or 0.0 for each in _told(operations)), default=None)
    if known_at is None:
        return False
    forgotten = any(each.gone and each.invoked >= known_at for each in operations)
    return forgotten or all(_rank(each) < OVER for each in _told(operations))


def failed(operations: Operations) -> bool:
    """It ended as failed: none of these jobs should."""
    return State.FAILED in _ends(operations)


def wrong(operations: Operations) -> bool:
    """It succeeded with a result that is not the truth, or without one."""
    succeeded = [each for each in _told(operations) if each.seen and each.seen.state is State.SUCCEEDED]
    return any(each.seen and each.seen.digest != true_digest(each.job) for each in succeeded)


def ended_twice(operations: Operations) -> bool:
    """Two clients were told of different ends, or it was not over any more; or it went back to the queue."""
    return len(_ends(operations)) > 1 or _falls(operations, _rank)


def changed(operations: Operations) -> bool:
    """There were two results."""
    return len({each.seen.digest for each in _told(operations) if each.seen and each.seen.digest is not None}) > 1


def fell_back(operations: Operations) -> bool:
    """Something that only grows became less."""
    grows: tuple[Callable[[Operation], float | None], ...] = (
        lambda each: each.seen.units if each.seen else None,
        lambda each: each.seen.fraction if each.seen else None,
        lambda each: each.seen.resumed if each.seen else None,
        lambda each: each.seen.revision if each.seen else None,
    )
    return any(_falls(operations, value) for value in grows)


def finished_after_cancel(operations: Operations) -> bool:
    """Its caller was told that it is cancelled, or that the cancelling was done, and it was not so."""
    cancels = [each.seen for each in _told(operations) if each.act is Act.CANCEL and each.seen]
    acknowledged = any(seen.state is State.CANCELLED for seen in cancels)
    return any(not seen.state.done for seen in cancels) or (acknowledged and _ends(operations) != {State.CANCELLED})


OF_EACH_JOB: dict[str, Callable[[Operations], bool]] = {
    "accepted jobs lost": lost,
    "jobs that failed": failed,
    "wrong results": wrong,
    "ended twice, or went back": ended_twice,
    "results that changed": changed,
    "progress or revision fell": fell_back,
    "finished after they were cancelled": finished_after_cancel,
}
SHARED = "keys with two jobs, or jobs with two keys"
REFUSED = "submissions that were never accepted"
VISIBLE = ("accepted jobs lost", "jobs that failed", REFUSED)
"""What a caller would call a failure; everything else is wrong."""


def violations(history: History) -> dict[str, list[str]]:
    """The ids of the jobs, or the keys, that each promise was broken for."""
    jobs = history.by_job()
    found = {
        name: [job_id for job_id, operations in jobs.items() if is_broken(operations)]
        for name, is_broken in OF_EACH_JOB.items()
    }
    accepted = history.of(Act.SUBMIT, End.OK)
    by_key, by_id = defaultdict(set), defaultdict(set)
    for each in accepted:
        by_key[each.key].add(each.job_id)
        by_id[each.job_id].add(each.key)
    found[SHARED] = [name for names in (by_key, by_id) for name, others in names.items() if len(others) > 1]
    found[REFUSED] = sorted({each.key for each in history.of(Act.SUBMIT)} - by_key.keys())
    return found


def outcome_of_jobs(history: History, *checks: Check, least: int = 1) -> Outcome:
    """The row of a history: at least so many jobs, no promise broken, and the checks. Its times are of acceptances."""
    found = violations(history)
    keys = {each.key for each in history.of(Act.SUBMIT)}
    accepted = history.seconds_of(Act.SUBMIT)
    p50, p99, slowest = (1e3 * percentile(accepted, percent) if accepted else 0.0 for percent in (50, 99, 100))
    return Outcome(
        requests=len(keys),
        failed=len({name for kind in VISIBLE for name in found[kind]}),
        wrong=sum(len(names) for kind, names in found.items() if kind not in VISIBLE),
        p50_ms=p50,
        p99_ms=p99,
        slowest_ms=slowest,
        checks=[
            Check("durable jobs", len(keys), least, ">=", quiet=True),
            *(Check(kind, len(names), 0, quiet=True) for kind, names in found.items()),
            *checks,
        ],
        notes=[f"{kind}: {', '.join(names[:3])}" for kind, names in found.items() if names] + _unanswered(history),
    )


def most_resumed(history: History) -> int:
    """How often the job was gone on with that was gone on with most often."""
    return max((each.seen.resumed for each in history.operations if each.seen), default=0)


def _unanswered(history: History) -> list[str]:
    """What was answered otherwise, by kind."""
    kinds = Counter(f"{each.act} {each.status or each.error}" for each in history.operations if each.end is not End.OK)
    return [", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(6))] if kinds else []


def _told(operations: Collection[Operation]) -> Operations:
    return [each for each in operations if each.seen is not None]


def _ends(operations: Operations) -> set[State]:
    """The states in which it was seen to be over."""
    return {each.seen.state for each in operations if each.seen and each.seen.state.done}


def _rank(operation: Operation) -> int:
    return RANKS.get(operation.seen.state, OVER) if operation.seen else 0


def _falls(operations: Operations, value: Callable[[Operation], float | None]) -> bool:
    """Whether a later operation saw less than an earlier one: one that had ended before it, or that of its stream."""
    known = [(each, seen) for each in _told(operations) if (seen := value(each)) is not None]
    known.sort(key=lambda pair: pair[0].ended or 0.0)
    ends = [each.ended or 0.0 for each, _ in known]
    highest = list(accumulate((seen for _, seen in known), max))
    of_stream: dict[int, float] = {}
    for each, seen in known:
        before = bisect_right(ends, each.invoked)
        if before and highest[before - 1] > seen:
            return True
        if each.stream is not None:
            if of_stream.get(each.stream, seen) > seen:
                return True
            of_stream[each.stream] = seen
    return False

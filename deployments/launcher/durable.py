"""What the launcher says of durable jobs: how many go on, or why there are none. Each is said once."""

import time
from collections.abc import Callable, Sequence

from app.status import DurableCounts

PATIENCE_SECONDS = 5.0
"""A keeper that opens its store normally says nothing else meanwhile."""
SELDOM_SECONDS = 5.0
"""How often it is asked once a reason was said: until somebody has removed it."""
SILENT = "their keeper does not answer"

AskKeepers = Callable[[], Sequence[DurableCounts | None]]
"""Of each keeper that there is to be, what it counts; None if it does not answer."""


class Report:
    """After the start: asks the keepers until all of them have their jobs."""

    def __init__(
        self, ask: AskKeepers, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._say = say
        self._clock = clock
        self._give_reason_at = clock() + PATIENCE_SECONDS
        self._ask_at = clock()
        self._said_why_not = False
        self._done = False

    def look(self) -> None:
        """Ask, if there is anything left to say, and say it."""
        if self._done or self._clock() < self._ask_at:
            return
        counts = self._ask()
        if reasons := [_reason(each) for each in counts if each is None or not each.available]:
            if self._clock() >= self._give_reason_at:
                self._ask_at = self._clock() + SELDOM_SECONDS
                if not self._said_why_not:
                    self._say(f"durable jobs: none yet: {reasons[0]}")
                self._said_why_not = True
            return
        self._done = True
        if self._said_why_not:
            self._say("durable jobs: there now")
        if unfinished := sum(each.queued + each.running for each in counts if each):
            self._say(f"{number_of('durable job', unfinished)} of before {'goes' if unfinished == 1 else 'go'} on")


def at_the_end(unfinished: int) -> str:
    """What to say of jobs that are not done when the service ends; nothing if there are none."""
    return f"{number_of('durable job', unfinished)} will go on at the next start" if unfinished else ""


def number_of(what: str, number: int | None) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _reason(counts: DurableCounts | None) -> str:
    return SILENT if counts is None else counts.reason or "their store is being opened"

"""What a row of the table found: its requests, and every promise beside what was seen."""

import math
import operator
from dataclasses import dataclass, field

from chaos.record import Record

COMPARE = {"<=": operator.le, ">=": operator.ge, "=": operator.eq}
DURATION, RATIO = ", s", " / "
"""Parts of the names of durations, and of ratios of durations or rates. CPUs that the workers use are not among them:
no other program makes them compute for nobody."""


@dataclass(frozen=True)
class Check:
    """``seen`` against ``bound``; a check without a bound only reports."""

    what: str
    seen: float
    bound: float | None = None
    sign: str = "<="
    quiet: bool = False
    """Whether it is worth reporting only if it is not met."""

    @property
    def met(self) -> bool:
        if self.bound is None:
            return True
        return bool(COMPARE[self.sign](self.seen, self.bound))

    @property
    def slow(self) -> bool:
        """Whether it is not met, but by a quantity that other programs on the machine change: what took too long."""
        timed = RATIO in self.what or (DURATION in self.what and self.sign == "<=")
        return not self.met and timed and math.isfinite(self.seen)

    def __str__(self) -> str:
        bound = "" if self.bound is None else f" ({self.sign} {_short(self.bound)})"
        return f"{self.what} {_short(self.seen)}{bound}"


@dataclass
class Outcome:
    """One row: the load beside the fault, and the promises."""

    requests: int = 0
    failed: int = 0
    wrong: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    slowest_ms: float = 0.0
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    """What an earlier try did not keep."""

    @property
    def broken(self) -> list[Check]:
        """The promises that did not hold."""
        return [check for check in self.checks if not check.met]

    @property
    def only_slow(self) -> bool:
        """Whether only promises of time are broken: nothing failed, wrong or left behind."""
        return bool(self.broken) and all(check.slow for check in self.broken)

    @property
    def told(self) -> list[str]:
        """What to report beside the numbers of requests: every check but those that say nothing new, and the notes."""
        return [str(check) for check in self._worth_telling] + self.notes + self.before

    @property
    def promised(self) -> list[str]:
        """The same without what only reports."""
        return [str(check) for check in self._worth_telling if check.bound is not None] + self.before

    @property
    def _worth_telling(self) -> list[Check]:
        return [check for check in self.checks if not (check.quiet and check.met)]


def outcome_of(record: Record, *checks: Check, may_fail: float | None = 0) -> Outcome:
    """The row of a record: nothing wrong, lost or twice, at most ``may_fail`` failed (None: any), and the checks."""
    failures = record.failures
    return Outcome(
        len(record.requests),
        len(failures),
        record.num_wrong,
        record.percentile_ms(50),
        record.percentile_ms(99),
        record.percentile_ms(100),
        [
            Check("failed", len(failures), may_fail, quiet=True),
            Check("wrong, lost or twice", record.num_wrong, 0, quiet=True),
            *checks,
        ],
        [record.explain_failures()] if failures else [],
    )


def _short(value: float) -> str:
    """Three significant digits, and never an exponent."""
    if math.isinf(value):
        return "never"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

"""What became of every request, and whether all promises about answers held."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chaos.jobs import Digest, JobSpec, digest, true_digest
from harness.figures import percentile

OK, TOO_MANY = 200, 429


@dataclass(slots=True)
class Request:
    """One job that was posted; times are seconds since the record's beginning."""

    number: int
    job: JobSpec
    due: float
    """When it was to be posted: latency counts from here, or a slow service would be asked less."""
    sent: float = 0.0
    """When it was posted: later only by as much as the load generator is late itself."""
    ended: float | None = None
    outcomes: int = 0
    status: int | None = None
    error: str = ""
    retry_after: int | None = None
    job_id: str = ""
    digest: Digest | None = None
    attempts: int = 0
    """Of its batch that took the most."""
    num_recomputed: int = 0
    compute_seconds: float = 0.0
    """Of all its batches."""

    @property
    def seconds(self) -> float:
        """From when it was due to its outcome."""
        return (self.ended or self.due) - self.due

    @property
    def right(self) -> bool:
        """Whether the answer, if there is one, is the truth."""
        return self.digest is None or self.digest == true_digest(self.job)

    def answered(self, status: int, headers: dict[str, str], answer: dict[str, Any] | None) -> None:
        """Note an answer, as a digest: the truth is computed later, not beside the load."""
        self.outcomes += 1
        self.status = status
        self.retry_after = int(headers["retry-after"]) if "retry-after" in headers else None
        if answer is not None:
            self.job_id = answer["job_id"]
            self.digest = digest(answer)
            self.attempts = max((batch["attempts"] for batch in answer["batches"]), default=0)
            self.num_recomputed = answer["verification"]["num_recomputed"]
            self.compute_seconds = sum(batch["compute_seconds"] for batch in answer["batches"])

    def failed(self, error: str) -> None:
        """Note that no answer came."""
        self.outcomes += 1
        self.error = error


@dataclass(slots=True)
class Record:
    """Every request of one load."""

    requests: list[Request] = field(default_factory=list)

    @property
    def succeeded(self) -> list[Request]:
        return [request for request in self.requests if request.status == OK]

    @property
    def refused(self) -> list[Request]:
        return [request for request in self.requests if request.status == TOO_MANY]

    @property
    def failures(self) -> list[Request]:
        return [request for request in self.requests if request.status != OK]

    @property
    def num_wrong(self) -> int:
        """Answers that were not the truth, that came twice, or that never had an outcome."""
        wrong = sum(not request.right for request in self.requests)
        lost = sum(request.outcomes != 1 for request in self.requests)
        ids = Counter(request.job_id for request in self.succeeded)
        return wrong + lost + sum(count - 1 for count in ids.values())

    @property
    def longest_gap(self) -> float:
        """The longest time from one successful request's due time to the next one's, seconds."""
        due = sorted(request.due for request in self.succeeded)
        ends = [*due, max((request.due for request in self.requests), default=0.0)]
        return max((later - earlier for earlier, later in zip([0.0, *due], ends, strict=True)), default=0.0)

    def percentile_ms(self, percent: float) -> float:
        """Of the successful requests; 0 if there are none."""
        seconds = [request.seconds for request in self.succeeded]
        return 1e3 * percentile(seconds, percent) if seconds else 0.0

    def explain_failures(self) -> str:
        """How many of which kind."""
        kinds = Counter(request.error or f"status {request.status}" for request in self.failures)
        return ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())

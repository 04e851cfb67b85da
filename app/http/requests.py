"""What the API accepts, and its errors: pydantic models that validate and document. The rest is in ``answers``."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.job import Execution
from app.kernel import Offer
from app.settings import Settings

EXECUTION = "distributed: cut up over the pool; local: all on one worker, in one call, one after another."


class ServiceFields(BaseModel):
    """What every request may say, whatever is to be computed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout_seconds: float | None = None


class JobRequests:
    """The bodies that the routes of one kernel accept: its own fields, and the service's."""

    def __init__(self, offer: Offer, settings: Settings) -> None:
        own, prefix = offer.kernel.request(offer.limits), offer.kernel.prefix
        timeout = Field(
            None,
            gt=0,
            le=settings.max_timeout_seconds,
            description=f"Deadline of the job; null: {settings.max_timeout_seconds:g}.",
        )
        bounded: Any = create_model("ServiceFields", __base__=ServiceFields, timeout_seconds=(float | None, timeout))
        self.compare: Any = create_model(
            f"{prefix}CompareRequest",
            __base__=(bounded, own),
            __doc__="A job to run twice: locally, then distributed.",
        )
        self.job: Any = create_model(
            f"{prefix}JobRequest",
            __base__=self.compare,
            __doc__=own.__doc__,
            # From JSON an enum's value is a string: strict mode would want the member itself.
            execution=(
                Annotated[Execution, Field(strict=False)],
                Field(Execution.DISTRIBUTED, description=EXECUTION),
            ),
        )
        self.durable: Any = create_model(
            f"{prefix}DurableJobRequest",
            __base__=self.job,
            timeout_seconds=(float | None, Field(None, gt=0, le=settings.max_job_timeout_seconds)),
        )
        """What a job may be that is posted with ``Prefer: respond-async``: the same, but for its longest deadline.
        No document can say that a header changes a bound, so this one is in none."""
        self.first_field = next(iter(own.model_fields))


class ErrorItem(BaseModel):
    """One reason why a body is invalid."""

    location: list[str | int]
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Or the path of a page of this service, after its route prefix.")
    title: str
    status: int
    detail: str | None = None
    request_id: str | None = None
    errors: list[ErrorItem] | None = None
    predicted_compute_seconds: float | None = None
    max_compute_seconds: float | None = None
    retry_after_seconds: int | None = None

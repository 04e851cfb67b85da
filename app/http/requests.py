"""What the API takes, and its errors: pydantic models that validate and document. ``app.http.answers`` has the rest."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.job import Execution
from app.settings import Settings

DEFAULT_SEQUENCE_SIZE = 100_000
"""The tutorial's."""


class CompareRequest(BaseModel):
    """A job to run twice: locally, then distributed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"examples": [{"sequence_size": 100_000, "num_sequences": 8}]},
    )

    sequence_size: int = DEFAULT_SEQUENCE_SIZE
    num_sequences: int | None = None
    timeout_seconds: float | None = None


class JobRequest(CompareRequest):
    """A job: ``num_sequences`` sequences of the terms F(0)..F(sequence_size - 1)."""

    # From JSON an enum's value is a string: strict mode would want the member itself.
    execution: Annotated[Execution, Field(strict=False)] = Field(
        Execution.DISTRIBUTED,
        description="distributed: cut over the pool; local: all on one worker, in one call, one after another.",
    )


RequestModel = TypeVar("RequestModel", bound=CompareRequest)


def bounded(model: type[RequestModel], settings: Settings) -> type[RequestModel]:
    """The request model with the settings' bounds, which then show in the OpenAPI document."""
    fields: dict[str, Any] = {
        "sequence_size": (
            int,
            Field(
                min(DEFAULT_SEQUENCE_SIZE, settings.max_sequence_size),
                ge=0,
                le=settings.max_sequence_size,
                description="Terms of each sequence, F(0)..F(n-1).",
            ),
        ),
        "num_sequences": (
            int | None,
            Field(
                None,
                ge=1,
                le=settings.max_num_sequences,
                description="How many sequences; null: as many as the pool has workers.",
            ),
        ),
        "timeout_seconds": (
            float | None,
            Field(
                None,
                gt=0,
                le=settings.max_timeout_seconds,
                description=f"Deadline of the job; null: {settings.max_timeout_seconds:g}.",
            ),
        ),
    }
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)


class ErrorItem(BaseModel):
    """One reason why a body is invalid."""

    location: list[str | int]
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Or the path of a page of this service, behind its route prefix.")
    title: str
    status: int
    detail: str | None = None
    request_id: str | None = None
    errors: list[ErrorItem] | None = None
    predicted_compute_seconds: float | None = None
    max_compute_seconds: float | None = None
    retry_after_seconds: int | None = None

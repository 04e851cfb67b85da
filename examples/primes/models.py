"""What callers ask for, what they get, and what operators may limit."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.kernel import Answer, Part
from examples.primes.task import PrimesTask


class PrimesLimits(BaseModel):
    """Limits on what may be asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_number: int = Field(10_000_000_000, ge=1, le=100_000_000_000, description="Greatest `first` and `num_numbers`.")


class PrimesRequest(BaseModel):
    """A job: count the primes among ``num_numbers`` numbers from ``first``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"first": 1_000_000_000, "num_numbers": 1_000_000}]})

    first: int = 0
    num_numbers: int = 1_000_000


def primes_request(limits: PrimesLimits) -> type[PrimesRequest]:
    """Both fields bounded, so that no number is greater than twice the limit."""
    first = Field(0, ge=0, le=limits.max_number, description="The least number of the range.")
    num_numbers = Field(
        min(1_000_000, limits.max_number), ge=0, le=limits.max_number, description="How many numbers it has."
    )
    fields: dict[str, Any] = {"first": (int, first), "num_numbers": (int, num_numbers)}
    return create_model("PrimesRequest", __base__=PrimesRequest, __doc__=PrimesRequest.__doc__, **fields)


def new_task(_limits: PrimesLimits, request: PrimesRequest, _num_workers: int) -> PrimesTask:
    """One line, however many workers there are."""
    return PrimesTask(request.first, request.num_numbers)


class PrimesAnswer(Answer):
    """A finished job: the range was sieved twice."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "first": 1_000_000_000,
                "num_numbers": 1_000_000,
                "num_counted": 1_000_000,
                "num_primes": 48_155,
            }
        }
    )

    first: int
    num_numbers: int
    num_counted: int = Field(description="Numbers sieved, as the workers counted them.")
    num_primes: int

    @classmethod
    def of(cls, task: PrimesTask, counts: Sequence[int], part: Part) -> Self:
        """What is found in a range is how many primes it has."""
        assert isinstance(part.found, int)  # noqa: S101 (for the type checker)
        return cls(first=task.first, num_numbers=task.length, num_counted=sum(counts), num_primes=part.found)

"""What callers ask of the Fibonacci kernel, what it answers, and what operators may limit."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from app.kernel import Answer, Part
from app.kernels.fibonacci.task import FibonacciTask

DEFAULT_SEQUENCE_SIZE = 100_000
"""The tutorial's."""
EXAMPLE_LAST_TERM: dict[str, JsonValue] = {
    "index": 99999,
    "num_digits": 20899,
    "bit_length": 69423,
    "sha256": "87c081bee72c63f20ecf4bd6fecff2ab2515538d76f4737727dbdd6ddf99270d",
}


class FibonacciLimits(BaseModel):
    """Limits on what may be asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_sequence_size: int = Field(10_000_000, ge=1, le=100_000_000, description="Most terms a sequence may have.")
    max_num_sequences: int = Field(10_000, ge=1, le=1_000_000, description="Most sequences a job may have.")


class FibonacciRequest(BaseModel):
    """A job: ``num_sequences`` sequences of the terms F(0)..F(sequence_size - 1)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sequence_size": 100_000, "num_sequences": 8}]})

    sequence_size: int = DEFAULT_SEQUENCE_SIZE
    num_sequences: int | None = None


def fibonacci_request(limits: FibonacciLimits) -> type[FibonacciRequest]:
    """The request model with the limits' bounds, which then show in the OpenAPI document."""
    fields: dict[str, Any] = {
        "sequence_size": (
            int,
            Field(
                min(DEFAULT_SEQUENCE_SIZE, limits.max_sequence_size),
                ge=0,
                le=limits.max_sequence_size,
                description="Terms of each sequence, F(0)..F(n-1).",
            ),
        ),
        "num_sequences": (
            int | None,
            Field(
                None,
                ge=1,
                le=limits.max_num_sequences,
                description="How many sequences; null: as many as the pool has workers.",
            ),
        ),
    }
    return create_model("FibonacciRequest", __base__=FibonacciRequest, __doc__=FibonacciRequest.__doc__, **fields)


def new_task(limits: FibonacciLimits, request: FibonacciRequest, num_workers: int) -> FibonacciTask:
    """As many sequences as there are workers, unless the request says how many."""
    return FibonacciTask(request.sequence_size, request.num_sequences or min(num_workers, limits.max_num_sequences))


class LastTermModel(BaseModel):
    """The generated last term of a sequence (they are all the same), without its digits."""

    model_config = ConfigDict(title="LastTerm", frozen=True, json_schema_extra={"example": EXAMPLE_LAST_TERM})

    index: int
    num_digits: int = Field(description="Decimal digits, exact.")
    bit_length: int
    sha256: str = Field(description="Over its big-endian bytes, as few as hold it, at least one.")


class FibonacciAnswer(Answer):
    """A finished job: every term generated, and the end of every segment checked."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "sequence_size": 100000,
                "num_sequences": 4,
                "sizes": [100000, 100000, 100000, 100000],
                "last_term": EXAMPLE_LAST_TERM,
            }
        }
    )

    sequence_size: int
    num_sequences: int
    sizes: list[int] = Field(description="Terms generated in each sequence, as the workers counted them.")
    last_term: LastTermModel | None = Field(description="null for sequences of size 0.")

    @classmethod
    def of(cls, task: FibonacciTask, counts: Sequence[int], part: Part) -> Self:
        """What is found in a sequence is its last term."""
        return cls(
            sequence_size=task.sequence_size,
            num_sequences=task.num_sequences,
            sizes=list(counts),
            last_term=None if part.found is None else LastTermModel.model_validate(part.found),
        )

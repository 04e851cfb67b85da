"""What a computation must provide to be queued, cut, computed and checked here.

A *task* is ``num_lines`` equal *lines* of ``length`` *units* each. The service cuts lines between any two units, has
the pieces computed on whatever workers there are, and joins what they found. A kernel is one module or package; the
setting ``kernels`` names it by its import path, and nothing else in the service knows it.
"""

import importlib
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from app.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9-]*")
TAKEN = frozenset({"docs", "jobs", "livez", "page", "pool", "problems", "readyz", "timeline"})
"""Names of the service's own routes."""


class CheckFailedError(Exception):
    """The result is wrong; it is computed again, on another worker if there is one."""


class KernelError(ValueError):
    """A kernel that cannot be used; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was found in a stretch of units of one line."""

    found: JsonValue = None
    """Small: at most 1 MB as JSON once all parts are joined."""
    opens: str | None = None
    """What is at its beginning, by another algorithm than ``closes``, what is at its end: each must equal its
    neighbour's. With both, a piece needs no check of its own but at a line's end. A digest will do."""
    closes: str | None = None


class Task(Protocol):
    """What one job computes. A frozen dataclass at the top of its module: it is pickled to the workers."""

    kernel: ClassVar[str]
    """The ``name`` of its ``Kernel``, under which its prices are learnt."""
    core_seconds: ClassVar[tuple[float, ...]]
    """CPU seconds for an amount of one of each kind of work, measured once; from there the service learns."""

    @property
    def length(self) -> int:
        """Units in each line; not negative."""
        ...

    @property
    def num_lines(self) -> int:
        """At least 1; more if the same line is to be computed several times."""
        ...

    def work(self, start: int, stop: int) -> tuple[float, ...]:
        """The amount of each kind of work in units ``start`` .. ``stop - 1``, including starting and checking.

        ``work(i, i)`` is what a cut at ``i`` costs. The call takes constant time; the amounts grow with ``stop``.
        """
        ...

    def compute(self, start: int, stop: int) -> Generator[int, None, "Part | Callable[[], Part]"]:
        """Compute units ``start`` .. ``stop - 1`` of a line, check them, and return what was found.

        Or, if that takes time, a function that returns it: for many equal lines it is called once.

        Yields how many units were done since the last yield: every 10 ms or more often if it can, and always within
        60 ms. Raises ``CheckFailedError`` if the check fails.
        """
        ...

    def join(self, left: Part, right: Part) -> Part:
        """Two neighbouring parts as one."""
        ...


class Answer(BaseModel):
    """A kernel's own fields in the answer to a job."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    @classmethod
    def of(cls, task: Any, counts: Sequence[int], part: Part) -> Self:
        """``counts``: units of each line, as workers counted them. ``part``: all parts of a line, joined."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kind of computation: ``POST /{name}`` runs a job of it, and ``POST /{name}/compare`` two."""

    name: str
    unit: str
    """In the plural: batches have ``num_{unit}``."""
    summary: str
    """What a job does, in a sentence for the OpenAPI document."""
    limits: type[BaseModel]
    """What an operator may set, as ``limits`` under the setting ``kernels``."""
    request: Callable[[Any], type[BaseModel]]
    """The model of the caller's fields, bounded by the limits."""
    task: Callable[[Any, Any, int], Task]
    """A task from the limits, a request and the number of workers."""
    answer: type[Answer]
    prefix: str
    """Precedes the names of its schemas in the OpenAPI document."""
    large_answers: bool = False
    """Whether making and encoding an answer takes more than a millisecond: then it is done in a thread."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A kernel with the limits under which it is offered here."""

    kernel: Kernel
    limits: BaseModel


def load(import_path: str, limits: Mapping[str, JsonValue]) -> Offer:
    """The kernel at ``module:NAME``. Raises ``KernelError`` if there is none, or its limits are wrong."""
    module, _, name = import_path.partition(":")
    try:
        kernel = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise KernelError(f"no kernel at {import_path}: {error}") from None
    if not isinstance(kernel, Kernel):
        raise KernelError(f"{import_path} is not a kernel")
    try:
        return Offer(kernel, kernel.limits.model_validate(limits))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise KernelError(f"the limits of {import_path}: {where}: {first['msg']}") from None


def offers_of(settings: Settings) -> list[Offer]:
    """Each kernel with its limits. Raises ``KernelError`` too if a name is used twice or cannot be in a path."""
    offers = [load(choice.import_path, choice.limits) for choice in settings.kernels]
    names = [offer.kernel.name for offer in offers]
    for name in names:
        if NAME.fullmatch(name) is None or name in TAKEN or names.count(name) > 1:
            wrong = "two kernels are called" if names.count(name) > 1 else "a kernel cannot be called"
            raise KernelError(f"{wrong} {name!r}")
    return offers

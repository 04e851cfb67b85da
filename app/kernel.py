"""What a computation has to be so that it can be queued, cut, computed and checked here.

A *task* is ``num_lines`` equal *lines* of ``length`` *units* each. The service cuts lines between any two units, has
the pieces computed on whatever workers there are, and joins what they found. A kernel is one package; the setting
``kernels`` names it by its import path, and nothing else in the service knows it.
"""

import importlib
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from app.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9-]*")


class CheckFailedError(Exception):
    """What was computed is wrong; it is computed again, on another worker if there is one."""


class KernelError(ValueError):
    """A kernel that cannot be used; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was found in a stretch of units of one line."""

    found: JsonValue = None
    """Small: when all is joined, at most 1 MB as JSON."""
    opens: str | None = None
    """What stands at its beginning, and in ``closes`` at its end: each must equal its neighbour's."""
    closes: str | None = None


class Task(Protocol):
    """What one job computes. A frozen dataclass at the top of its module: it is pickled to the workers."""

    kernel: ClassVar[str]
    """The kernel's name, under which its prices are learnt."""
    core_seconds: ClassVar[tuple[float, ...]]
    """CPU seconds of one of each kind of work, measured once; what batches really take is learnt from there."""

    @property
    def length(self) -> int:
        """Units of each line; not negative."""
        ...

    @property
    def num_lines(self) -> int:
        """At least 1; more if the same line is to be computed several times."""
        ...

    def work(self, start: int, stop: int) -> tuple[float, ...]:
        """The amount of each kind of work in units ``start`` .. ``stop - 1``, with what beginning and checking take.

        ``work(i, i)`` is what a cut at ``i`` costs. It takes constant time, and grows with ``stop``.
        """
        ...

    def compute(self, start: int, stop: int) -> Generator[int, None, "Part | Callable[[], Part]"]:
        """Compute units ``start`` .. ``stop - 1`` of a line, check them, and return what was found.

        Or a function that says it, if that takes time: of many equal lines it is asked once.

        Yields, a few times a millisecond, how many units were done since; between two yields at most 60 ms pass.
        Raises ``CheckFailedError`` if the check fails.
        """
        ...

    def join(self, left: Part, right: Part) -> Part:
        """One part of two neighbours."""
        ...


class Answer(BaseModel):
    """A kernel's own fields of the answer to a job."""

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
    """What a job does, in a sentence: in the OpenAPI document."""
    limits: type[BaseModel]
    """What an operator may set: of ``limits`` under the setting ``kernels``."""
    request: Callable[[Any], type[BaseModel]]
    """The caller's fields, with bounds by the limits."""
    task: Callable[[Any, Any, int], Task]
    """Of the limits, a request and the number of workers."""
    answer: type[Answer]
    prefix: str
    """Before the names of its schemas in the OpenAPI document."""
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
    """Each kernel with its limits. Raises ``KernelError`` also if two have one name, or one's cannot be in a path."""
    offers = [load(choice.import_path, choice.limits) for choice in settings.kernels]
    names = [offer.kernel.name for offer in offers]
    for name in names:
        if NAME.fullmatch(name) is None or names.count(name) > 1:
            raise KernelError(f"a kernel cannot be called {name!r}" + (" twice" if names.count(name) > 1 else ""))
    return offers

"""The service with workers that one can turn against it: a test's import path, never the product's.

``build`` is ``deployments.application.build`` with another worker class. One worker flips a bit in some of what
it generates, or lies in other ways; every worker dies of the poison job.
"""

import contextlib
import os
from pathlib import Path
from unittest import mock

from gmpy2 import xmpz
from ray.serve import Application

from app.job import Batch, BatchResult
from app.kernels.fibonacci import task
from app.kernels.fibonacci.terms import TermGenerator
from app.settings import Settings
from deployments import application, worker

POISON_SIZE = 3_333
"""Small, so that it rides with others in one batch."""
LIAR_FILE = "FIBONACCI_CHAOS_LIAR"
"""An environment variable with a path. The one worker that creates the file lies."""
POISONED_FILE = "poisoned"
"""Beside the liar's: a line from every worker that died of poison, how many other jobs were in the batch."""
LIES_FILE = "lies"
"""Beside it, too: if it is there, every segment of the liar is wrong in what it says."""
IN_SUMS, IN_SEEDS, IN_DIGESTS = LIES = ("sums", "seeds", "digests")
TRUTHS_BETWEEN_LIES = 4


class LyingGenerator(TermGenerator):
    """Every few segments, one bit of the last term is wrong; or each segment, in what ``LIES_FILE`` says."""

    made = 0

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(start, stop)
        LyingGenerator.made += 1
        with contextlib.suppress(FileNotFoundError):
            self._lies_in = Path(os.environ[LIAR_FILE]).with_name(LIES_FILE).read_text()
            if self._lies_in == IN_SEEDS and start > 0:
                self._upper = xmpz(self._upper ^ 1)
            return
        self._lies_in = IN_SUMS if LyingGenerator.made % (TRUTHS_BETWEEN_LIES + 1) == 0 else ""

    def _generate(self, num_terms: int) -> None:
        super()._generate(num_terms)
        if self._lies_in == IN_SUMS and self.done:
            self._lower = xmpz(self._lower ^ 1)

    def digest(self) -> str:
        """The same lie about the same pair, each time."""
        return super().digest()[:: -1 if self._lies_in == IN_DIGESTS else 1]


class FibonacciWorker(worker.FibonacciWorker):
    """Named like the real one: the name is the deployment's."""

    def __init__(self) -> None:
        super().__init__()
        path = os.environ.get(LIAR_FILE)
        if path and _is_first(Path(path)):
            task.TermGenerator = LyingGenerator  # type: ignore[attr-defined]

    async def run(self, batch: Batch) -> BatchResult:
        """As the real one, unless the poison is in the batch."""
        if any(segment.task.length == POISON_SIZE for segment in batch.segments):
            with Path(os.environ[LIAR_FILE]).with_name(POISONED_FILE).open("a") as file:
                file.write(f"{sum(segment.stop == segment.task.length for segment in batch.segments) - 1}\n")
            os._exit(1)
        return await super().run(batch)


def build(settings: Settings) -> Application:
    """The import path."""
    with mock.patch.object(application, "FibonacciWorker", FibonacciWorker):
        return application.build(settings)


def _is_first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

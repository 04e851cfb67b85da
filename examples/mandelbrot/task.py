"""A picture as a task: one line, whose units are the rows of pixels.

Numbers are integers of ``1 / ONE``, so that numpy and Python come to exactly the same ones.
"""

import base64
from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from app.kernel import CheckFailedError, Part

BITS = 28
ONE = 1 << BITS
MAX_ITERATIONS = 255


@dataclass(frozen=True, slots=True)
class MandelbrotTask:
    """``num_rows`` x ``num_columns`` square pixels around a centre."""

    kernel: ClassVar[str] = "mandelbrot"
    core_seconds: ClassVar[tuple[float, ...]] = (5e-4, 1e-6)
    """Measured on an AMD EPYC core with numpy 2.4. What a pixel costs depends on where it is: this is a mean."""

    num_rows: int
    num_columns: int
    centre_real: float
    centre_imaginary: float
    width: float
    """Of the picture, in the complex plane."""
    num_lines: ClassVar[int] = 1

    @property
    def length(self) -> int:
        return self.num_rows

    def work(self, start: int, stop: int) -> tuple[float, ...]:
        """Rows, one more for each part, and pixels."""
        return 1 + stop - start, (stop - start) * self.num_columns

    def compute(self, start: int, stop: int) -> Generator[int, None, Part]:
        """Row by row; what is found is a byte a pixel, in base64."""
        rows = bytearray()
        for row in range(start, stop):
            real, imaginary = self._pixels(row)
            counts = iterations(real, imaginary)
            column = row * 7919 % self.num_columns  # another one in each row
            if int(counts[column]) != iterations_of_one(int(real[column]), int(imaginary)):
                raise CheckFailedError
            rows += counts.tobytes()
            yield 1
        return Part(base64.b64encode(rows).decode())

    def join(self, left: Part, right: Part) -> Part:
        """The upper rows, then the lower ones."""
        assert isinstance(left.found, str)  # noqa: S101 (for the type checker)
        assert isinstance(right.found, str)  # noqa: S101
        return Part(base64.b64encode(base64.b64decode(left.found) + base64.b64decode(right.found)).decode())

    def _pixels(self, row: int) -> tuple[NDArray[np.int64], int]:
        """The real parts of a row's pixels, and their imaginary part."""
        step = self.width / self.num_columns
        columns = np.arange(self.num_columns) - self.num_columns / 2
        real = np.clip((self.centre_real + columns * step) * ONE, -2 * ONE, 2 * ONE).astype(np.int64)
        imaginary = (self.centre_imaginary + (self.num_rows / 2 - row) * step) * ONE
        return real, int(min(max(imaginary, -2 * ONE), 2 * ONE))


def iterations(real: NDArray[np.int64], imaginary: int) -> NDArray[np.uint8]:
    """How often z -> z*z + c, from 0, until |z| > 2, at most ``MAX_ITERATIONS``: for a row of numbers c."""
    counts = np.zeros(len(real), dtype=np.uint8)
    inside = np.arange(len(real))
    x, y, c = np.zeros_like(real), np.zeros_like(real), real
    for _ in range(MAX_ITERATIONS):
        xx, yy = x * x, y * y
        stays = xx + yy <= 4 << 2 * BITS
        inside, x, y, c, xx, yy = inside[stays], x[stays], y[stays], c[stays], xx[stays], yy[stays]
        if not len(inside):
            break
        counts[inside] += 1
        x, y = ((xx - yy) >> BITS) + c, (2 * x * y >> BITS) + imaginary
    return counts


def iterations_of_one(real: int, imaginary: int) -> int:
    """The same for one number, with Python's own integers, which never overflow."""
    x = y = count = 0
    while count < MAX_ITERATIONS and x * x + y * y <= 4 << 2 * BITS:
        x, y = ((x * x - y * y) >> BITS) + real, (2 * x * y >> BITS) + imaginary
        count += 1
    return count

"""What callers ask for, what they get, and what operators may limit."""

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.kernel import Answer, Part
from examples.mandelbrot.task import MandelbrotTask

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class MandelbrotLimits(BaseModel):
    """Limits on what may be asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_side: int = Field(800, ge=1, le=860, description="Most rows, and most columns: what is found stays under 1 MB.")


class MandelbrotRequest(BaseModel):
    """A job: a picture of a part of the Mandelbrot set."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"num_rows": 400, "num_columns": 600}]})

    num_rows: int = 400
    num_columns: int = 600
    centre_real: float = Field(-0.5, ge=-2, le=2)
    centre_imaginary: float = Field(0.0, ge=-2, le=2)
    width: float = Field(3.0, gt=0, le=4, description="Of the picture, in the complex plane.")


def mandelbrot_request(limits: MandelbrotLimits) -> type[MandelbrotRequest]:
    """The request model with the sides bounded."""
    sides = {"num_rows": min(400, limits.max_side), "num_columns": min(600, limits.max_side)}
    fields: dict[str, Any] = {name: (int, Field(side, ge=1, le=limits.max_side)) for name, side in sides.items()}
    return create_model("MandelbrotRequest", __base__=MandelbrotRequest, __doc__=MandelbrotRequest.__doc__, **fields)


def new_task(_limits: MandelbrotLimits, request: MandelbrotRequest, _num_workers: int) -> MandelbrotTask:
    """One picture, however many workers there are."""
    return MandelbrotTask(**{name: getattr(request, name) for name in MandelbrotRequest.model_fields})


class MandelbrotAnswer(Answer):
    """A finished job: the picture."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"num_rows": 1, "num_columns": 1, "rows_drawn": 1, "png": "iVBORw0KGgo="}}
    )

    num_rows: int
    num_columns: int
    rows_drawn: int = Field(description="As the workers counted them.")
    png: str = Field(description="The picture in shades of grey, in base64: white is outside.")

    @classmethod
    def of(cls, task: MandelbrotTask, counts: Sequence[int], part: Part) -> Self:
        """A picture of all the rows."""
        assert isinstance(part.found, str)  # noqa: S101 (for the type checker)
        picture = png(base64.b64decode(part.found), task.num_columns)
        return cls(
            num_rows=task.num_rows,
            num_columns=task.num_columns,
            rows_drawn=sum(counts),
            png=base64.b64encode(picture).decode(),
        )


def png(pixels: bytes, num_columns: int) -> bytes:
    """A picture in shades of grey (ISO/IEC 15948). ``pixels``: row by row, iterations; the more, the darker."""
    shades = pixels.translate(bytes(range(255, -1, -1)))
    rows = [b"\0" + shades[i : i + num_columns] for i in range(0, len(shades), num_columns)]
    header = struct.pack(">IIBBBBB", num_columns, len(rows), 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )

"""How a durable job's progress is written down: JSON of a known version, with a checksum."""

import json
import zlib
from typing import Any

from app.kernel import Part
from app.queue.progress import Begun, Progress

VERSION = 1


class DamagedError(Exception):
    """The checkpoint is not what was written: the job has to begin again."""


class UnknownVersionError(Exception):
    """A later version of the service wrote the checkpoint: this one must leave the job alone."""


def checkpoint_text(progress: Progress) -> str:
    """No big numbers are in it: about 1 KB for two workers, 300 KB for a thousand; a beginning costs one seed."""
    content: dict[str, Any] = {
        "v": VERSION,
        "whole": progress.whole,
        "begun": [[each.line, each.start, each.stop, *_fields(each.part)] for each in progress.begun],
        "part": None if progress.part is None else _fields(progress.part),
        "num_segments": progress.num_segments,
        "num_recomputed": progress.num_recomputed,
        "num_batches": progress.num_batches,
        "num_workers": progress.num_workers,
        "compute_seconds": progress.compute_seconds,
    }
    return _dumps(content | {"crc": _checksum(content)})


def progress_of(text: str) -> Progress:
    """What ``checkpoint_text`` has written. Raises ``DamagedError`` or ``UnknownVersionError``."""
    try:
        content: dict[str, Any] = json.loads(text)
        if content.pop("crc") != _checksum(content):
            raise DamagedError("the checksum is wrong")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"no checkpoint: {error!r}") from None
    if content.pop("v") != VERSION:
        raise UnknownVersionError
    whole, begun, part = content.pop("whole"), content.pop("begun"), content.pop("part")
    return Progress(
        whole=tuple((start, stop) for start, stop in whole),
        begun=tuple(Begun(line, start, stop, Part(*found)) for line, start, stop, *found in begun),
        part=None if part is None else Part(*part),
        **content,
    )


def _fields(part: Part) -> list[Any]:
    return [part.found, part.opens, part.closes]


def _checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(_dumps(content).encode())


def _dumps(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))

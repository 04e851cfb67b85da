"""What was found in the pieces of one line, joined with their neighbours as they come back."""

from app.errors import ComputationError
from app.kernel import Part, Task


class Parts:
    """However many pieces a line is cut into, only those whose neighbours are missing are kept apart."""

    __slots__ = ("_starts", "_stretches", "_task")

    def __init__(self, task: Task) -> None:
        self._task = task
        self._stretches: dict[int, tuple[int, Part]] = {}
        """By a stretch's start: its stop, and what was found in it."""
        self._starts: dict[int, int] = {}
        """By a stretch's stop."""

    def __len__(self) -> int:
        """Stretches that are kept apart."""
        return len(self._stretches)

    def add(self, start: int, stop: int, part: Part) -> None:
        """Add what was found in units ``start`` .. ``stop - 1``; each unit comes once.

        Raises ``ComputationError`` if the kernel cannot join it with its neighbours.
        """
        if start < stop:
            if (left := self._starts.pop(start, None)) is not None:
                _, part_before = self._stretches.pop(left)
                start, part = left, self._join(part_before, part)
            if (right := self._stretches.pop(stop, None)) is not None:
                del self._starts[stop_after := right[0]]
                stop, part = stop_after, self._join(part, right[1])
        self._stretches[start] = stop, part
        self._starts[stop] = start

    def _join(self, left: Part, right: Part) -> Part:
        try:
            return self._task.join(left, right)
        except Exception as error:
            raise ComputationError("what was found could not be joined") from error

    @property
    def stretches(self) -> list[tuple[int, int, Part]]:
        """Start, stop and what was found, in the order of their starts."""
        return [(start, stop, part) for start, (stop, part) in sorted(self._stretches.items())]

    @property
    def whole(self) -> Part | None:
        """What was found in the whole line; None unless all of it has come back."""
        stop, part = self._stretches.get(0, (-1, None))
        return part if stop == self._task.length else None

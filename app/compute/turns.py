"""The order in which the batches on a worker take turns, slice by slice. Pure: it neither computes nor waits."""

import math
from collections import deque
from typing import Generic, TypeVar

SLICES_OF_THE_FIRST_TURN = 200
"""Two seconds: a batch at the ceiling ends in one turn, even on a thousand workers, where ceilings grow to more than a
second. When two batches on a worker end together, it is idle until the next one comes: 2 % of a large job on two
workers with a slice a turn, 5 % on a thousand (simulated) with a quarter of a second."""
SLICES_A_TURN = 25
"""A quarter of a second, for batches that the first turn did not finish: a local job of minutes."""
EXPRESS_SLICES = 16
"""Slices that a short batch gets before it queues for a turn like a long one: four times what the longest of them takes
(``GATHERED_SECONDS`` in ``app.queue.lanes``), since other work may use the core too, and predictions may be wrong."""
BACKGROUND_SHARE = 10
"""Background batches get one slice of so many while others want them all."""
NEW_IN_A_ROW = 2
"""After so many slices of new batches, one that has had its first is next, if there is any."""


class Turn:
    """What the order needs to know about a batch."""

    __slots__ = ("background", "express_left", "slices_left")

    def __init__(self, *, short: bool, background: bool = False) -> None:
        self.background = background
        self.express_left = EXPRESS_SLICES if short else 1
        self.slices_left = SLICES_OF_THE_FIRST_TURN
        """In its current turn."""


Batch = TypeVar("Batch", bound=Turn)


class Turns(Generic[Batch]):
    """The batches that want a slice, in four queues; none can starve another, since an ingress sends few short ones.

    A batch is *new* until its first slice; if it is short, it has *express* slices until it has had ``EXPRESS_SLICES``.
    Then it takes turns of many slices with the others that have *begun*. Those that have begun get every other slice at
    least; of the rest, express ones every third at least. So a short batch is done after a few slices, however many
    long ones there are, and a stream of short ones does not starve a long one at any stage. First turns are long enough
    that most batches end one after the other.

    *Background* batches, those of durable jobs, come after all that, but get a tenth of the slices at least. So callers
    that wait are served as if there were none, and cannot starve them. Among themselves they take turns.
    """

    def __init__(self) -> None:
        self._new: deque[Batch] = deque()
        self._express: deque[Batch] = deque()
        self._begun: deque[Batch] = deque()
        self._background: deque[Batch] = deque()
        self._since_background = 0
        """Slices since the last one of a background batch."""
        self._was_newcomer = False
        """Whether the last slice was that of a new or an express batch."""
        self._new_in_a_row = 0
        """Slices of new batches since the last one of an express batch."""

    def __bool__(self) -> bool:
        return bool(self._foreground or self._background)

    @property
    def _foreground(self) -> bool:
        return bool(self._new or self._express or self._begun)

    def add(self, batch: Batch) -> None:
        """Add a new batch; may be called from another thread."""
        (self._background if batch.background else self._new).append(batch)

    def take(self) -> Batch:
        """The batch whose slice is next; it is out until ``give_back``, or for good. There must be one."""
        if self._background and (self._since_background >= BACKGROUND_SHARE - 1 or not self._foreground):
            self._since_background = 0
            return self._background.popleft()
        self._since_background += 1
        newcomers = self._new or self._express
        self._was_newcomer = bool(newcomers) and not (self._was_newcomer and self._begun)
        if not self._was_newcomer:
            return self._begun.popleft()
        if self._express and (self._new_in_a_row >= NEW_IN_A_ROW or not self._new):
            self._new_in_a_row = 0
            return self._express.popleft()
        self._new_in_a_row += 1
        return self._new.popleft()

    def slices_in_a_row(self, batch: Batch) -> float:
        """How many ``batch``, the one taken last, would get if no other came."""
        if batch.background:
            return 1 if self._foreground else batch.slices_left if self._background else math.inf
        if self._was_newcomer or self._new or self._express or self._background:
            return 1
        return batch.slices_left if self._begun else math.inf

    def give_back(self, batch: Batch, slices: int = 1) -> None:
        """Put back ``batch``, the one taken last: it has had so many slices in a row, and is not done."""
        if self._was_newcomer and not batch.background:
            batch.express_left -= 1
            (self._express if batch.express_left > 0 else self._begun).append(batch)
            return
        batch.slices_left -= slices
        others = self._background if batch.background else self._begun
        if batch.slices_left > 0:
            others.appendleft(batch)
        else:
            batch.slices_left = SLICES_A_TURN
            others.append(batch)

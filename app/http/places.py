"""How many requests of one kind may be open at a time, in all and of one caller."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Places:
    """Places in one ingress."""

    def __init__(self, number: int, number_a_caller: int) -> None:
        """``number_a_caller``: with API keys, of one caller."""
        self.number = number
        self.number_a_caller = number_a_caller
        self._taken: Counter[str] = Counter()
        """By caller."""

    @property
    def all_taken(self) -> bool:
        """Whether nobody gets another."""
        return self._taken.total() >= self.number

    def has_all(self, caller: str) -> bool:
        """Whether the caller has as many as one may have."""
        return bool(caller) and self._taken[caller] >= self.number_a_caller

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """Take one, whether or not there is any left."""
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]

"""Start-time fair queueing (Goyal, Vin and Cheng, 1996), in seconds of service."""

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Tag = tuple[float, int]
"""Virtual seconds, and a number that no other tag has: of several at one moment, the first to get there goes first."""


class FairQueue(Generic[Key]):
    """The key with the smallest start tag is served next.

    A start tag is the virtual time at which the key's next service begins; serving ``seconds`` moves it on by as much.
    A newcomer starts at the virtual time: it neither waits for the past of the others nor makes up for its own. Virtual
    time is the start tag of the latest service, but each service moves it on at least by everybody's share of that:
    otherwise newcomers that are served once each would all start at the same tag, and a key that is one service ahead
    would wait as long as they come. A key that leaves before virtual time has caught up with it keeps its tag, or
    leaving and coming back would be free. Every operation is O(log n), amortised.
    """

    def __init__(self, *, keys_return: bool = True) -> None:
        """``keys_return``: whether a key that left may come back; if not, nothing about it is kept."""
        self._keys_return = keys_return
        self._virtual_seconds = 0.0
        self._share_seconds = 0.0
        """The latest service, divided by the number of keys that were there."""
        self._tags: dict[Key, Tag] = {}
        self._heap: list[tuple[Tag, Key]] = []
        self._left_with: dict[Key, Tag] = {}
        self._left_heap: list[tuple[Tag, Key]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, key: Key) -> bool:
        return key in self._tags

    def add(self, key: Key) -> None:
        """Let ``key`` take part from now on."""
        left_with_seconds, _ = self._left_with.pop(key, (0.0, 0))
        self._set_tag(key, max(self._virtual_seconds, left_with_seconds))

    def remove(self, key: Key) -> None:
        """Take ``key`` out."""
        tag = self._tags.pop(key)
        if self._keys_return and tag[0] > self._virtual_seconds:
            self._push(self._left_heap, self._left_with, key, tag)

    def peek(self) -> Key | None:
        """The key to serve next; None if there is none."""
        first = self._first(self._heap, self._tags)
        return None if first is None else first[1]

    def refund(self, key: Key, seconds: float) -> None:
        """Take back a charge for what was not served after all, whether ``key`` is still here or has left."""
        if key in self._tags:
            self._set_tag(key, max(self._virtual_seconds, self._tags[key][0] - seconds))
        elif key in self._left_with:
            start_seconds, _ = self._left_with.pop(key)
            if start_seconds - seconds > self._virtual_seconds:
                self._push(self._left_heap, self._left_with, key, (start_seconds - seconds, next(self._numbers)))

    def serve(self, key: Key, seconds: float) -> None:
        """Charge ``key``, the one that ``peek`` named, for a service that begins now."""
        start_seconds, _ = self._tags[key]
        self._virtual_seconds = max(self._virtual_seconds + self._share_seconds, start_seconds)
        self._share_seconds = seconds / len(self._tags)
        self._set_tag(key, start_seconds + seconds)
        while (first := self._first(self._left_heap, self._left_with)) and first[0][0] <= self._virtual_seconds:
            del self._left_with[first[1]]

    def _set_tag(self, key: Key, start_seconds: float) -> None:
        self._push(self._heap, self._tags, key, (start_seconds, next(self._numbers)))

    def _push(self, heap: list[tuple[Tag, Key]], tags: dict[Key, Tag], key: Key, tag: Tag) -> None:
        tags[key] = tag
        heapq.heappush(heap, (tag, key))
        if len(heap) > 2 * len(tags) + 64:  # mostly entries that a later one has replaced
            heap[:] = [(t, k) for t, k in heap if tags.get(k) == t]
            heapq.heapify(heap)

    def _first(self, heap: list[tuple[Tag, Key]], tags: dict[Key, Tag]) -> tuple[Tag, Key] | None:
        """The smallest tag and its key; drops the outdated entries in front of it."""
        while heap:
            tag, key = heap[0]
            if tags.get(key) == tag:
                return tag, key
            heapq.heappop(heap)
        return None


class JobQueue:
    """The fair queue of jobs: first over callers, then over each caller's jobs."""

    def __init__(self) -> None:
        self._callers: FairQueue[str] = FairQueue()
        self._jobs: dict[str, FairQueue[int]] = {}

    def add(self, caller: str, job: int) -> None:
        """Queue a job; the number must be new."""
        if caller not in self._jobs:
            self._jobs[caller] = FairQueue(keys_return=False)  # job numbers are new each time
            self._callers.add(caller)
        self._jobs[caller].add(job)

    def remove(self, caller: str, job: int) -> None:
        """Take a job out, if it is there."""
        jobs = self._jobs.get(caller)
        if jobs is None or job not in jobs:
            return
        jobs.remove(job)
        if not jobs:
            del self._jobs[caller]
            self._callers.remove(caller)

    def peek(self) -> int | None:
        """The job to serve next."""
        caller = self._callers.peek()
        return None if caller is None else self._jobs[caller].peek()

    def refund(self, caller: str, seconds: float) -> None:
        """Take back from a caller's charge what was not served after all."""
        self._callers.refund(caller, seconds)

    def serve(self, caller: str, job: int, seconds: float) -> None:
        """Charge the job that ``peek`` named, and its caller."""
        self._jobs[caller].serve(job, seconds)
        self._callers.serve(caller, seconds)

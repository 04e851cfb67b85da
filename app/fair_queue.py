"""Start-time fair queueing (Goyal, Vin and Cheng, 1996) of whoever has work, in seconds of service."""

import heapq
import itertools
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from app.lanes import Lane

Key = TypeVar("Key", bound=Hashable)
Tag = tuple[float, int]
"""Virtual seconds, and a number that no other tag has: who came first to the same moment goes first."""


class FairQueue(Generic[Key]):
    """Who is served next: of those with work in one of the lanes asked for, the one whose start tag is smallest.

    A start tag is the virtual time at which the next service begins; serving ``seconds`` moves it on by as much. A
    newcomer starts at the virtual time: it neither waits for the past of the others nor makes up for its own. Virtual
    time is the start tag of the latest service. Where keys do not return it also moves with everybody's share of what
    is served: a stream of newcomers, each served once, all start at the same tag, and whoever is a service ahead of
    that would wait until the stream ends.

    Where keys return, whoever leaves before virtual time has caught up with it keeps its tag, or leaving and coming
    back would be free. Every operation is O(log n), amortised.
    """

    def __init__(self, *, keys_return: bool = True) -> None:
        """``keys_return``: whether whoever left may come back; if not, nothing is kept of leavers."""
        self._keys_return = keys_return
        self._virtual_seconds = 0.0
        self._share_seconds = 0.0
        """Of the latest service, for each that was there."""
        self._tags: dict[Key, Tag] = {}
        self._lanes: dict[Key, set[Lane]] = {}
        self._heaps: dict[Lane, list[tuple[Tag, Key]]] = {lane: [] for lane in Lane}
        self._left_with: dict[Key, Tag] = {}
        self._left_heap: list[tuple[Tag, Key]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, key: Key) -> bool:
        return key in self._tags

    def add(self, key: Key, lane: Lane) -> None:
        """``key`` has work in ``lane`` from now on."""
        if key in self._tags:
            self._lanes[key].add(lane)
            self._push(lane, key)
            return
        left_with_seconds, _ = self._left_with.pop(key, (0.0, 0))
        self._lanes[key] = {lane}
        self._set_tag(key, max(self._virtual_seconds, left_with_seconds))

    def remove(self, key: Key, lane: Lane) -> None:
        """``key`` has no more work in ``lane``."""
        self._lanes[key].remove(lane)
        if self._lanes[key]:
            return
        del self._lanes[key]
        tag = self._tags.pop(key)
        if self._keys_return and tag[0] > self._virtual_seconds:
            self._leave(key, tag)

    def peek(self, lanes: Iterable[Lane]) -> Key | None:
        """Who is next of those with work in one of the ``lanes``; None if nobody is there."""
        firsts = [first for lane in lanes if (first := self._first(lane)) is not None]
        return min(firsts)[1] if firsts else None

    def refund(self, key: Key, seconds: float) -> None:
        """Take back a charge for what was not served after all, whether ``key`` is still here or has left."""
        if key in self._tags:
            self._set_tag(key, max(self._virtual_seconds, self._tags[key][0] - seconds))
        elif key in self._left_with:
            start_seconds, _ = self._left_with.pop(key)
            if start_seconds - seconds > self._virtual_seconds:
                self._leave(key, (start_seconds - seconds, next(self._numbers)))

    def serve(self, key: Key, seconds: float) -> None:
        """Charge ``key``, one that ``peek`` named, with a service that begins now."""
        start_seconds, _ = self._tags[key]
        self._virtual_seconds = max(self._virtual_seconds + self._share_seconds, start_seconds)
        if not self._keys_return:
            self._share_seconds = seconds / len(self._tags)
        self._set_tag(key, start_seconds + seconds)
        while (heap := self._left_heap) and heap[0][0][0] <= self._virtual_seconds:
            tag, left = heapq.heappop(heap)
            if self._left_with.get(left) == tag:
                del self._left_with[left]

    def _set_tag(self, key: Key, start_seconds: float) -> None:
        self._tags[key] = start_seconds, next(self._numbers)
        for lane in self._lanes[key]:
            self._push(lane, key)

    def _push(self, lane: Lane, key: Key) -> None:
        heap = self._heaps[lane]
        heapq.heappush(heap, (self._tags[key], key))
        if len(heap) > 2 * len(self._tags) + 64:  # mostly entries that a later one has replaced
            heap[:] = {(tag, k) for tag, k in heap if self._holds(lane, tag, k)}
            heapq.heapify(heap)

    def _leave(self, key: Key, tag: Tag) -> None:
        self._left_with[key] = tag
        heapq.heappush(self._left_heap, (tag, key))
        if len(self._left_heap) > 2 * len(self._left_with) + 64:
            self._left_heap[:] = [(t, k) for t, k in self._left_heap if self._left_with.get(k) == t]
            heapq.heapify(self._left_heap)

    def _holds(self, lane: Lane, tag: Tag, key: Key) -> bool:
        return self._tags.get(key) == tag and lane in self._lanes[key]

    def _first(self, lane: Lane) -> tuple[Tag, Key] | None:
        """The smallest tag in the lane and whose it is; drops the entries in front of it that no longer hold."""
        heap = self._heaps[lane]
        while heap and not self._holds(lane, *heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None


class JobQueue:
    """The fair queue of jobs: first over callers, then over those of each caller's jobs that are in one lane."""

    def __init__(self) -> None:
        self._callers: FairQueue[str] = FairQueue()
        self._jobs: dict[tuple[str, Lane], FairQueue[int]] = {}

    def add(self, caller: str, lane: Lane, job: int) -> None:
        """Queue a job; the number must be new."""
        if (caller, lane) not in self._jobs:
            self._jobs[caller, lane] = FairQueue(keys_return=False)  # job numbers are new each time
            self._callers.add(caller, lane)
        self._jobs[caller, lane].add(job, lane)

    def remove(self, caller: str, lane: Lane, job: int) -> None:
        """Take a job out, if it is there."""
        jobs = self._jobs.get((caller, lane))
        if jobs is None or job not in jobs:
            return
        jobs.remove(job, lane)
        if not jobs:
            del self._jobs[caller, lane]
            self._callers.remove(caller, lane)

    def peek(self, lanes: Iterable[Lane]) -> int | None:
        """The job to serve next in these lanes; the first lane's, where their caller has one in several."""
        lanes = list(lanes)
        caller = self._callers.peek(lanes)
        if caller is None:
            return None
        jobs = next(jobs for lane in lanes if (jobs := self._jobs.get((caller, lane))) is not None)
        return jobs.peek(lanes)

    def refund(self, caller: str, seconds: float) -> None:
        """Take back from a caller's charge what was not served after all."""
        self._callers.refund(caller, seconds)

    def serve(self, caller: str, lane: Lane, job: int, seconds: float) -> None:
        """Charge the job, one that ``peek`` named, and its caller."""
        self._jobs[caller, lane].serve(job, seconds)
        self._callers.serve(caller, seconds)

"""Start-time fair queueing (Goyal, Vin and Cheng, 1996) of whoever has work, in seconds of service."""

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class FairQueue(Generic[Key]):
    """Who is served next: the one whose start tag is smallest.

    A start tag is the virtual time at which the next service begins; serving ``seconds`` moves it on
    by as much. Virtual time is the start tag of the latest service, and a newcomer starts
    there: it neither waits for the past of the others nor makes up for its own. Whoever leaves
    before virtual time has caught up with it keeps its tag, or leaving and coming back would be free.
    Every operation is O(log n), amortised.
    """

    def __init__(self) -> None:
        self._virtual_seconds = 0.0
        self._tags: dict[Key, float] = {}
        self._left_with: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._tie = itertools.count()

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, key: Key) -> bool:
        return key in self._tags

    def add(self, key: Key) -> None:
        """Let ``key`` take part from now on."""
        self._set_tag(key, max(self._virtual_seconds, self._left_with.pop(key, 0.0)))

    def remove(self, key: Key) -> None:
        """Take ``key`` out."""
        tag = self._tags.pop(key)
        if tag > self._virtual_seconds:
            self._left_with[key] = tag

    def peek(self) -> Key | None:
        """Who is next; None if nobody is there."""
        while self._heap:
            tag, _, key = self._heap[0]
            if self._tags.get(key) == tag:
                return key
            heapq.heappop(self._heap)
        return None

    def serve(self, key: Key, seconds: float) -> None:
        """Charge ``key``, the one that ``peek`` named, with a service that begins now."""
        tag = self._tags[key]
        self._virtual_seconds = max(self._virtual_seconds, tag)
        self._set_tag(key, tag + seconds)
        if len(self._left_with) > 2 * len(self._tags) + 64:
            now = self._virtual_seconds
            self._left_with = {k: t for k, t in self._left_with.items() if t > now}

    def _set_tag(self, key: Key, tag: float) -> None:
        self._tags[key] = tag
        heapq.heappush(self._heap, (tag, next(self._tie), key))
        if len(self._heap) > 2 * len(self._tags) + 64:  # mostly entries of who left or was served
            self._heap = [(t, i, k) for t, i, k in self._heap if self._tags.get(k) == t]
            heapq.heapify(self._heap)


class JobQueue:
    """The fair queue of jobs: first over callers, then over each caller's jobs."""

    def __init__(self) -> None:
        self._callers: FairQueue[str] = FairQueue()
        self._jobs: dict[str, FairQueue[int]] = {}

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._jobs.values())

    def add(self, caller: str, job: int) -> None:
        """Queue a job; the number must be new."""
        if caller not in self._jobs:
            self._jobs[caller] = FairQueue()
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

    def serve(self, caller: str, job: int, seconds: float) -> None:
        """Charge the job that ``peek`` named, and its caller."""
        self._jobs[caller].serve(job, seconds)
        self._callers.serve(caller, seconds)

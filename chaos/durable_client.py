"""A client of durable jobs that gives up on nothing, and writes down everything it does and is told."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from chaos.caller import Answer, UnansweredError, ask, get, post
from chaos.history import Act, End, History, Operation, Seen
from chaos.jobs import JobSpec

ANSWER_SECONDS = 10.0
"""How long it waits for an answer: the service waits 2 s for the keeper."""
MOST_RETRY_SECONDS = 1.0
"""It does not wait longer, whatever it is told: a load that waited for a service would not load it."""
ACCEPTED, DONE = 202, 200
GONE = "/problems/no-such-job"
READS_A_SECOND = 25.0
"""Of all jobs together, and at most four of one: more would take the cores from the service."""
LAST_LOOKS, LAST_TRIES = 20, 20
"""So many at once, and each so often."""
SOON_SECONDS = 0.25


class NeverAcceptedError(RuntimeError):
    """A job was not accepted, or not cancelled, in all the time that there was."""


class DurableClient:
    """Submits jobs under keys, reads and cancels them. Its methods run in one event loop."""

    def __init__(self, url: str, history: History, patience_seconds: float) -> None:
        self.url = url
        """May be changed: the next request goes there."""
        self.history = history
        self.patience_seconds = patience_seconds
        """How long a submission or a cancellation is tried again."""
        self._watched: set[str] = set()

    async def submit(self, job: JobSpec, key: str) -> Seen:
        """Submit it until it is accepted. Raises ``NeverAcceptedError``."""
        headers = {"Prefer": "respond-async", "Idempotency-Key": key}

        async def once() -> tuple[Operation, float]:
            operation = self.history.invoke(Act.SUBMIT, job, key=key)
            return operation, await self._try(operation, post(self.url, job.body, ANSWER_SECONDS, headers))

        return await self._until_told(once)

    async def cancel(self, job: JobSpec, job_id: str) -> Seen:
        """Cancel it until that is answered. Raises ``NeverAcceptedError``."""
        head = f"POST /jobs/{job_id}/cancel HTTP/1.1\r\nContent-Length: 0\r\n"

        async def once() -> tuple[Operation, float]:
            operation = self.history.invoke(Act.CANCEL, job, job_id=job_id)
            return operation, await self._try(operation, ask(self.url, head, timeout_seconds=ANSWER_SECONDS))

        return await self._until_told(once)

    async def read(self, job: JobSpec, job_id: str) -> Operation:
        """Ask for it once."""
        operation = self.history.invoke(Act.READ, job, job_id=job_id)
        await self._try(operation, get(self.url, f"/jobs/{job_id}", ANSWER_SECONDS))
        return operation

    async def watch(self, job: JobSpec, job_id: str) -> None:
        """Read it again and again until it is over, or known to be lost."""
        self._watched.add(job_id)
        while True:
            await asyncio.sleep(max(SOON_SECONDS, len(self._watched) / READS_A_SECOND))
            operation = await self.read(job, job_id)
            if operation.gone or (operation.seen is not None and operation.seen.state.done):
                self._watched.discard(job_id)
                return

    def unwatched(self) -> list[tuple[JobSpec, str]]:
        """Jobs that were accepted, but are neither known to be over nor watched."""
        accepted = {each.job_id: each.job for each in self.history.of(Act.SUBMIT, End.OK)}
        over = {each.job_id for each in list(self.history.operations) if each.seen is not None and each.seen.state.done}
        return [(job, job_id) for job_id, job in accepted.items() if job_id not in over | self._watched]

    async def look_at_all(self) -> None:
        """Read every job that was accepted once more: what is over has to stay as it was told."""
        room = asyncio.Semaphore(LAST_LOOKS)

        async def look(job: JobSpec, job_id: str) -> None:
            async with room:
                for _ in range(LAST_TRIES):
                    if (await self.read(job, job_id)).end is not End.UNKNOWN:
                        return
                    await asyncio.sleep(SOON_SECONDS)

        jobs = {each.job_id: each.job for each in self.history.of(Act.SUBMIT, End.OK)}
        await asyncio.gather(*(look(job, job_id) for job_id, job in jobs.items()))

    async def _until_told(self, once: Callable[[], Awaitable[tuple[Operation, float]]]) -> Seen:
        give_up_at = time.monotonic() + self.patience_seconds
        while True:
            operation, pause = await once()
            if operation.seen is not None:
                return operation.seen
            if time.monotonic() + pause > give_up_at:
                raise NeverAcceptedError(f"{operation.act} {operation.key or operation.job_id}: {operation.error}")
            await asyncio.sleep(pause)

    async def _try(self, operation: Operation, asking: Awaitable[Answer]) -> float:
        """Ask once, and note the answer; returns how long to wait before the next time."""
        try:
            answer = await asking
        except UnansweredError as nothing:
            self.history.unanswered(operation, str(nothing))
            return SOON_SECONDS
        try:
            body = answer.json()
            if answer.status in (DONE, ACCEPTED):
                self.history.told(operation, answer.status, Seen.of(body))
                return 0.0
            kind = str(body.get("type", ""))
        except (ValueError, LookupError, AttributeError):  # HAProxy's, or not of this API
            kind = ""
        told = kind or f"status {answer.status} of somebody else"
        self.history.refused(operation, answer.status if kind else 502, told, gone=kind == GONE)
        return min(MOST_RETRY_SECONDS, float(answer.headers.get("retry-after", SOON_SECONDS)))

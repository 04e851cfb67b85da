"""What a history of clients of durable jobs is found to break: each promise, in one that was made up."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from app.durable.records import State
from chaos.durable_client import DurableClient, NeverAcceptedError
from chaos.durable_load import LEAST_COST, MOST_COST, durable_load, mixed_durable_jobs
from chaos.history import Act, End, History, Operation, Seen
from chaos.jobs import JobSpec, true_digest
from chaos.verdict import OF_EACH_JOB, REFUSED, SHARED, most_resumed, outcome_of_jobs, violations

JOB = JobSpec(1_000, 2)
TRUTH = true_digest(JOB)
LOST, FAILED, WRONG, TWICE, CHANGED, FELL, FINISHED = OF_EACH_JOB


def seen(state: State, units: int = 0, job_id: str = "a", **changes: Any) -> Seen:
    """A job as a client was told of it; with the right result if it succeeded."""
    result = TRUTH if state is State.SUCCEEDED else None
    return Seen(job_id, state, units, units / 2_000, 0.0, **({"resumed": 0, "digest": result} | changes))


def operation(
    act: Act, invoked: float, told: Seen | None, *, ended: float | None = None, key: str = "", stream: int | None = None
) -> Operation:
    """One that was answered, at once unless it is said when."""
    made = Operation(act, JOB, invoked, key, told.job_id if told else "", stream)
    made.seen, made.ended = told, invoked if ended is None else ended
    made.end, made.status = (End.OK, 200) if told else (End.UNKNOWN, 503)
    return made


QUEUED, HALF, DONE = seen(State.QUEUED), seen(State.RUNNING, 1_000), seen(State.SUCCEEDED, 2_000)
CANCELLED = seen(State.CANCELLED, 1_000)
SUBMITTED = operation(Act.SUBMIT, 0.0, QUEUED, key="k")


def read(invoked: float, told: Seen, **options: Any) -> Operation:
    return operation(Act.READ, invoked, told, **options)


def broken(*operations: Operation) -> list[str]:
    """The promises that this history breaks."""
    return [kind for kind, names in violations(History(list(operations))).items() if names]


def test_a_history_in_which_all_is_well() -> None:
    events = [operation(Act.EVENT, 0.5, each, ended=at, stream=1) for at, each in ((0.6, HALF), (2.5, DONE))]
    unknown = operation(Act.SUBMIT, 0.0, None, key="k")
    history = History([unknown, SUBMITTED, read(1, HALF), *events, read(2, DONE), read(9, DONE)])
    outcome = outcome_of_jobs(history)
    assert (outcome.broken, outcome.requests, outcome.failed, outcome.wrong) == ([], 1, 0, 0)
    assert outcome.told == ["1 x submit 503"]


def gone(invoked: float) -> Operation:
    made = Operation(Act.READ, JOB, invoked, job_id="a")
    made.status, made.gone, made.end, made.ended = 404, True, End.FAIL, invoked
    return made


@pytest.mark.parametrize(
    ("operations", "kinds"),
    [
        ([SUBMITTED, gone(1), read(2, DONE)], [LOST]),
        ([SUBMITTED, read(1, DONE), gone(2)], [LOST]),
        ([SUBMITTED, read(1, HALF)], [LOST]),
        ([SUBMITTED, read(1, seen(State.FAILED))], [FAILED]),
        ([SUBMITTED, read(1, seen(State.SUCCEEDED, 2_000, digest=true_digest(JobSpec(999, 2))))], [WRONG]),
        ([SUBMITTED, read(1, seen(State.SUCCEEDED, 2_000, digest=None))], [WRONG]),
        ([SUBMITTED, read(1, DONE), read(2, seen(State.RUNNING, 2_000))], [TWICE]),
        ([SUBMITTED, read(1, HALF), read(2, seen(State.QUEUED, 1_000)), read(3, DONE)], [TWICE]),
        ([SUBMITTED, read(1, DONE), read(1, seen(State.CANCELLED, 2_000))], [TWICE]),
        ([SUBMITTED, read(1, HALF), read(2, seen(State.RUNNING, 999)), read(3, DONE)], [FELL]),
        ([SUBMITTED, read(1, seen(State.RUNNING, 5, resumed=1)), read(2, HALF), read(3, DONE)], [FELL]),
    ],
)
def test_what_a_job_may_not_do(operations: list[Operation], kinds: list[str]) -> None:
    assert broken(*operations) == kinds


def test_a_result_that_changes_is_wrong_as_well() -> None:
    other = seen(State.SUCCEEDED, 2_000, digest=true_digest(JobSpec(999, 2)))
    assert broken(SUBMITTED, read(1, DONE), read(2, other)) == [WRONG, CHANGED]


def test_answers_to_questions_asked_at_once_may_come_in_any_order() -> None:
    assert broken(SUBMITTED, read(1, DONE, ended=2), read(1, HALF, ended=3)) == []
    assert broken(SUBMITTED, read(1, DONE, ended=2), read(2, HALF, ended=3)) == [TWICE, FELL]


def test_an_event_may_be_older_than_what_was_read_since_its_stream_was_opened() -> None:
    late = operation(Act.EVENT, 0.5, HALF, ended=3, stream=1)
    assert broken(SUBMITTED, read(1, DONE), late) == []
    late.invoked = 2.0
    assert broken(SUBMITTED, read(1, DONE), late) == [TWICE, FELL]


def test_the_revision_never_falls_in_a_stream() -> None:
    def event(ended: float, revision: int) -> Operation:
        told = seen(State.RUNNING, 1_000, revision=revision)
        return operation(Act.EVENT, 0.5, told, ended=ended, stream=1)

    assert broken(SUBMITTED, event(1, 3), event(2, 3), event(3, 4), read(9, DONE)) == []
    assert broken(SUBMITTED, event(1, 3), event(2, 2), read(9, DONE)) == [FELL]


def test_a_key_has_one_job_and_a_job_one_key() -> None:
    other = seen(State.SUCCEEDED, 2_000, "b")
    assert broken(SUBMITTED, read(1, DONE), operation(Act.SUBMIT, 2, other, key="k")) == [SHARED]
    assert broken(SUBMITTED, read(1, DONE), operation(Act.SUBMIT, 2, other, key="l")) == []
    assert broken(SUBMITTED, read(1, DONE), operation(Act.SUBMIT, 2, DONE, key="l")) == [SHARED]


def test_a_key_that_never_got_a_job_is_told() -> None:
    assert broken(SUBMITTED, read(1, DONE), operation(Act.SUBMIT, 2, None, key="l")) == [REFUSED]


def test_what_is_cancelled_stays_so() -> None:
    cancel = operation(Act.CANCEL, 1, CANCELLED)
    assert broken(SUBMITTED, cancel, read(2, CANCELLED)) == []
    assert broken(SUBMITTED, read(0.5, DONE), operation(Act.CANCEL, 1, DONE)) == []  # it was over
    assert broken(SUBMITTED, cancel, read(2, DONE)) == [TWICE, FINISHED]
    assert broken(SUBMITTED, operation(Act.CANCEL, 1, HALF), read(2, CANCELLED)) == [FINISHED]


def test_failures_and_what_is_wrong_are_told_apart() -> None:
    other = seen(State.SUCCEEDED, 2_000, "b")
    again = operation(Act.SUBMIT, 2, other, key="k")
    outcome = outcome_of_jobs(History([SUBMITTED, read(1, HALF), again]))
    assert (outcome.requests, outcome.failed, outcome.wrong) == (1, 1, 1)
    assert {check.what for check in outcome.broken} == {LOST, SHARED}
    assert f"{LOST}: a" in outcome.told
    assert outcome_of_jobs(History()).broken[0].what == "durable jobs"


def test_how_often_jobs_were_gone_on_with() -> None:
    assert most_resumed(History([SUBMITTED, read(1, seen(State.RUNNING, resumed=2)), read(2, DONE)])) == 2


def test_mixed_jobs_cost_between_a_hundredth_and_one() -> None:
    jobs = mixed_durable_jobs()
    costs = [next(jobs).cost for _ in range(200)]
    assert LEAST_COST / 2 < min(costs) < 2 * LEAST_COST
    assert MOST_COST / 2 < max(costs) < 1.5 * MOST_COST


class Server:
    """Answers like the service, each second request of a kind with 503; jobs are over when they are read twice."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.reads: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked += 1
        status, body = (503, {"type": "/problems/jobs-unavailable"}) if self.asked % 2 else self.answer(head)
        content = json.dumps(body).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nRetry-After: 0\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
        )
        await writer.drain()
        writer.close()

    def answer(self, head: str) -> tuple[int, dict[str, Any]]:
        if key := re.search(r"Idempotency-Key: (\S+)", head):
            assert "Prefer: respond-async" in head
            return 202, self.job(self.keys.setdefault(key[1], f"{len(self.keys):032x}"))
        job_id = head.split(" ")[1].split("/")[2]
        if head.startswith("POST"):
            self.cancelled |= {job_id} if self.reads.get(job_id, 0) < 2 else set()
        elif job_id not in self.keys.values():
            return 404, {"type": "/problems/no-such-job"}
        self.reads[job_id] = self.reads.get(job_id, 0) + 1
        return 200, self.job(job_id)

    def job(self, job_id: str) -> dict[str, Any]:
        over = State.SUCCEEDED if self.reads.get(job_id, 0) > 1 else State.RUNNING
        state = State.CANCELLED if job_id in self.cancelled else over
        progress = {"terms": 5, "fraction": 0.5, "core_seconds": 0.1}
        return {"job_id": job_id, "state": state, "progress": progress, "resumed": 0, "result": None}


def served(talk: Callable[[str, Server], Any]) -> tuple[Any, Server]:
    """What the talk with a server returns, which is held in a thread, and the server."""

    async def run() -> Any:
        server = Server()
        async with await asyncio.start_server(server.serve, "127.0.0.1") as listening:
            port = listening.sockets[0].getsockname()[1]
            return await asyncio.to_thread(talk, f"http://127.0.0.1:{port}", server), server

    result: tuple[Any, Server] = asyncio.run(run())
    return result


def test_clients_try_again_under_the_same_key_and_write_all_of_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos.durable_load.CANCEL_SECONDS", 0.1)

    def talk(url: str, _: Server) -> History:
        with durable_load(url, rate=20) as load:
            posted = load.post(JOB)
            load.cancel(JOB, posted.job_id)
            while len(load.history.of(Act.SUBMIT, End.OK)) < 12:
                assert load.look(JOB, "f" * 32) is None
            assert load.settled(20) < 20
        return load.history

    history, server = served(talk)
    found = {kind: names for kind, names in violations(history).items() if names and kind != WRONG}
    assert found == {}  # but that these jobs have no results
    assert len(server.keys) == len({each.key for each in history.of(Act.SUBMIT)})
    assert any(each.status == 503 for each in history.of(Act.SUBMIT, End.UNKNOWN))
    assert len(history.of(Act.SUBMIT, End.OK)) > len(server.keys)  # some were submitted again
    assert history.of(Act.CANCEL, End.OK)
    read_in_the_end = {each.job_id for each in history.of(Act.READ, End.OK)}
    assert read_in_the_end >= set(server.keys.values())
    assert any(each.gone for each in history.of(Act.READ, End.FAIL))


def test_a_client_gives_up_on_a_service_that_is_not_there_only_when_its_time_is_up() -> None:
    history = History()
    client = DurableClient("http://127.0.0.1:1", history, patience_seconds=0.3)
    with pytest.raises(NeverAcceptedError):
        asyncio.run(client.submit(JOB, "k"))
    assert {each.end for each in history.of(Act.SUBMIT)} == {End.UNKNOWN}
    assert broken(*history.operations) == [REFUSED]

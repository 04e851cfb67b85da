"""A worker that is killed: its batch is lost and marked so, its row stays for a while, the job goes on."""

import threading

import httpx

from harness import bounds
from harness.processes import wait_until, workers
from harness.service import Service
from tests.page.conftest import OpenPage

JOB = {"sequence_size": 100_000, "num_sequences": 400}


def test_a_killed_workers_batch_is_shown_as_lost_and_another_worker_gets_a_row(
    service: Service, visit: OpenPage
) -> None:
    opened = visit(service.url)
    opened.page.keyboard.press("t")
    answers: list[httpx.Response] = []
    caller = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{service.url}/fibonacci", json=JOB, timeout=100))
    )
    caller.start()
    try:
        wait_until(lambda: len({row[0] for row in opened.batches()}) == 2, 20, "both workers compute")
        known = {row[0] for row in opened.batches()}
        workers(service.process.pid)[0].kill()
        wait_until(lambda: any(row[8] == "lost" for row in opened.batches()), 20, "its batch is told as lost")
        (lost, *_) = [row for row in opened.batches() if row[8] == "lost"]
        assert lost[0] in known
        opened.page.keyboard.press("t")
        opened.shot("lost", whole=False)
        opened.page.keyboard.press("t")
        wait_until(lambda: {row[0] for row in opened.batches()} - known != set(), bounds.WORKER_REPLACED, "another one")
        assert any(row[0] == lost[0] for row in opened.batches()), "the picture still has the lost one"
        opened.page.keyboard.press("t")
        opened.shot("replaced", whole=False)
    finally:
        caller.join()
    assert answers[0].raise_for_status().json()["sizes"] == [100_000] * 400
    wait_until(lambda: opened.text("#pool") == "2 workers, 1 ingress", 10, "there are two again")

"""A worker that is killed: its batch is lost and marked so, its row stays for a while, and the jobs go on."""

from harness import bounds
from harness.processes import wait_until, workers
from harness.service import Service
from tests.page.conftest import OpenPage
from tests.page.visits import Visit, busy

JOB = {"sequence_size": 100_000, "num_sequences": 64}


def at_work(opened: Visit) -> set[str]:
    """The workers whose batches are in the picture."""
    return {row[0] for row in opened.batches()}


def test_a_killed_workers_batch_is_shown_as_lost_and_another_worker_gets_a_row(
    service: Service, visit: OpenPage
) -> None:
    """Every job that is posted meanwhile is answered, or its caller's thread fails the test."""
    opened = visit(service.url)
    opened.page.keyboard.press("t")
    with busy(service.url, body=JOB, callers=2):
        wait_until(lambda: len(at_work(opened)) == 2, 20, "both workers compute")
        known = at_work(opened)
        workers(service.process.pid)[0].kill()
        wait_until(lambda: any(row[8] == "lost" for row in opened.batches()), 20, "its batch is told as lost")
        (lost, *_) = [row[0] for row in opened.batches() if row[8] == "lost"]
        assert lost in known
        opened.page.keyboard.press("t")
        opened.shot("lost", whole=False)
        opened.page.keyboard.press("t")
        wait_until(lambda: at_work(opened) - known != set(), bounds.WORKER_REPLACED, "another one computes")
        opened.page.keyboard.press("t")
        opened.page.wait_for_timeout(3_000)
        opened.shot("replaced", whole=False)
    wait_until(lambda: opened.text("#pool") == "2 workers, 1 ingress", 10, "there are two again")

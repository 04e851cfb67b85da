"""The order of slices on a worker: short batches soon, and nobody kept waiting for ever."""

import pytest

from app.compute.turns import BACKGROUND_SHARE, EXPRESS_SLICES, SLICES_A_TURN, SLICES_OF_THE_FIRST_TURN, Turn, Turns


class Batch(Turn):
    """Wants so many slices."""

    def __init__(self, name: str, slices: int, *, short: bool, background: bool) -> None:
        super().__init__(short=short, background=background)
        self.name = name
        self.left = slices


class Worker:
    """Gives slices, and remembers whose they were."""

    def __init__(self, **slices: int) -> None:
        self.turns: Turns[Batch] = Turns()
        self.taken: list[str] = []
        self.batches: list[Batch] = []
        for name, count in slices.items():
            self.add(name, count)

    def add(self, name: str, slices: int, *, short: bool = True, background: bool = False) -> None:
        self.batches.append(Batch(name, slices, short=short, background=background))
        self.turns.add(self.batches[-1])

    def waiting(self) -> list[Batch]:
        """All that are not done."""
        return [batch for batch in self.batches if batch.left]

    def run(self, slices: int) -> str:
        """Whose the next slices are."""
        for _ in range(slices):
            batch = self.turns.take()
            self.taken.append(batch.name)
            batch.left -= 1
            if batch.left:
                self.turns.give_back(batch)
        return "".join(self.taken[-slices:])


def test_batches_of_a_few_slices_end_one_after_the_other() -> None:
    assert Worker(a=3, b=3).run(6) == "ababab"


@pytest.mark.parametrize("slices", [2, EXPRESS_SLICES, EXPRESS_SLICES + 1, 200, 1_000])
@pytest.mark.parametrize("each", [1, 2, 3])
def test_a_batch_gets_its_part_of_the_slices_however_many_newcomers_there_are(slices: int, each: int) -> None:
    """At any moment one is waiting that has had nothing yet."""
    worker = Worker()
    worker.add("a", slices, short=False)
    for _ in range(3 * slices + 20):
        worker.add("n", each)
        worker.run(1)
    (last,) = [at for at, name in enumerate(worker.taken) if name == "a"][-1:]
    assert worker.taken.count("a") == slices
    assert last <= 2 * slices + 20


@pytest.mark.parametrize("slices", [2, 4, EXPRESS_SLICES])
def test_a_short_batch_gets_its_part_beside_as_many_others_as_an_ingress_sends(slices: int) -> None:
    """There are always two others, and a long one."""
    worker = Worker(a=slices)
    worker.add("l", 10_000, short=False)
    worker.run(2)
    while "a" in {batch.name for batch in worker.waiting()}:
        for _ in range(2 - sum(batch.name == "n" for batch in worker.waiting())):
            worker.add("n", 4)
        worker.run(1)
    assert len(worker.taken) <= 7 * slices + 6


def test_one_that_has_begun_goes_on_beside_those_of_a_few_slices() -> None:
    worker = Worker()
    worker.add("a", 1_000, short=False)
    worker.run(10)
    for _ in range(200):
        worker.add("n", 3)
        worker.run(1)
    assert worker.taken[10:].count("a") == 100


def test_a_newcomer_waits_for_one_slice_of_others_or_two() -> None:
    worker = Worker(a=1_000, b=1_000, c=3)
    worker.run(100)
    worker.add("n", 1)
    assert "n" in worker.run(2)


def test_of_two_newcomers_both_go_before_one_that_has_few_slices_left() -> None:
    worker = Worker(a=2, b=1, c=1)
    assert worker.run(4) == "abac"


def test_a_short_batch_that_takes_longer_than_predicted_does_not_wait_for_a_long_turn() -> None:
    worker = Worker()
    worker.add("l", 1_000, short=False)
    worker.run(50)
    worker.add("s", EXPRESS_SLICES)
    assert worker.run(2 * EXPRESS_SLICES).count("s") == EXPRESS_SLICES


def test_a_long_one_that_is_new_waits_for_its_turn_after_one_slice() -> None:
    worker = Worker()
    worker.add("a", 100, short=False)
    worker.run(1)
    worker.add("b", 100, short=False)
    assert worker.run(100) == "ab" + "a" * 98


def test_a_batch_keeps_its_turn_for_long_first_and_less_long_later() -> None:
    worker = Worker(a=1_000, b=1_000)
    worker.run(2 * EXPRESS_SLICES + 1)
    assert worker.run(SLICES_OF_THE_FIRST_TURN - 1) == "a" * (SLICES_OF_THE_FIRST_TURN - 1)
    assert worker.run(SLICES_OF_THE_FIRST_TURN) == "b" * SLICES_OF_THE_FIRST_TURN
    assert worker.run(2 * SLICES_A_TURN) == "a" * SLICES_A_TURN + "b" * SLICES_A_TURN


def test_how_many_slices_it_would_get_in_a_row_is_as_many_as_it_gets() -> None:
    worker = Worker(a=40, b=300, c=2, d=500)
    while worker.turns:
        batch = worker.turns.take()
        promised = worker.turns.slices_in_a_row(batch)
        batch.left -= 1
        worker.taken.append(batch.name)
        if batch.left:
            worker.turns.give_back(batch)
        for _ in range(int(min(promised - 1, batch.left))):
            assert worker.turns.take() is batch
            worker.taken.append(batch.name)
            batch.left -= 1
            if batch.left:
                worker.turns.give_back(batch)
    assert {name: worker.taken.count(name) for name in "abcd"} == {"a": 40, "b": 300, "c": 2, "d": 500}


def test_slices_that_were_had_in_a_row_count_like_single_ones() -> None:
    worker = Worker(a=1_000, b=1_000)
    worker.run(2 * EXPRESS_SLICES + 1)
    batch = worker.turns.take()
    worker.turns.give_back(batch, SLICES_OF_THE_FIRST_TURN - 2)
    assert worker.run(2) == "ab"


def test_background_batches_come_last_but_get_a_tenth() -> None:
    worker = Worker()
    worker.add("b", 1_000, background=True)
    assert worker.run(3) == "bbb"
    worker.add("l", 1_000, short=False)
    worker.run(100 * BACKGROUND_SHARE)
    assert worker.taken[3:].count("b") == 100


def test_a_newcomer_waits_for_one_slice_of_background_batches() -> None:
    worker = Worker()
    worker.add("b", 1_000, background=True)
    worker.run(50)
    worker.add("n", 1)
    assert "n" in worker.run(2)


def test_background_batches_end_one_after_the_other() -> None:
    worker = Worker()
    worker.add("a", 20, background=True)
    worker.add("b", 20, background=True)
    assert worker.run(40) == "a" * 20 + "b" * 20


def test_background_batches_of_minutes_take_turns() -> None:
    worker = Worker()
    worker.add("a", 1_000, background=True)
    worker.add("b", 1_000, background=True)
    assert worker.run(2 * SLICES_OF_THE_FIRST_TURN) == "a" * SLICES_OF_THE_FIRST_TURN + "b" * SLICES_OF_THE_FIRST_TURN
    assert worker.run(2 * SLICES_A_TURN) == "a" * SLICES_A_TURN + "b" * SLICES_A_TURN

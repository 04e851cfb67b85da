"""What was found in pieces is joined with its neighbours only, in order, whatever order it comes in."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.kernel import Part
from app.kernels.fibonacci.task import FibonacciTask
from app.queue.parts import Parts


@dataclass(frozen=True)
class Text(FibonacciTask):
    """What is found is a text."""

    def join(self, left: Part, right: Part) -> Part:
        assert isinstance(left.found, str)
        assert isinstance(right.found, str)
        return Part(left.found + right.found)


@given(st.data())
def test_pieces_in_any_order_become_the_whole(data: st.DataObject) -> None:
    text = data.draw(st.text("abcdef", max_size=30))
    cuts = data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)}
    pieces = list(pairwise(sorted(cuts))) or [(0, 0)]
    parts = Parts(Text(len(text)))
    for start, stop in data.draw(st.permutations(pieces)):
        parts.add(start, stop, Part(text[start:stop]))
    assert parts.whole == Part(text)
    assert len(parts) == 1


def test_only_what_has_no_neighbour_yet_is_kept_apart() -> None:
    parts = Parts(Text(100))
    for start in range(0, 100, 2):
        parts.add(start, start + 1, Part("a"))
    assert len(parts) == 50
    for start in range(1, 100, 2):
        parts.add(start, start + 1, Part("b"))
    assert parts.whole == Part("ab" * 50)

"""The service's kernel as a peer would call it: in one piece, without turns."""

from app.kernels.fibonacci.terms import TermGenerator


def compute_at_once(start: int, stop: int) -> int:
    """Generate and check one segment without turns, as a peer with the same kernel would; its number of terms.

    Raises ``ArithmeticError`` if the check fails.
    """
    terms = TermGenerator(start, stop)
    while not terms.done:
        terms.advance()
    if not terms.verify():
        raise ArithmeticError(f"terms {start}..{stop} failed their check")
    return terms.position - terms.start

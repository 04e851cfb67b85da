"""Counts the primes in a range, and counts them once more by a sieve of another kind."""

from app.kernel import Kernel
from examples.primes.models import PrimesAnswer, PrimesLimits, new_task, primes_request

KERNEL = Kernel(
    name="primes",
    unit="numbers",
    summary="Counts the primes in a range by the sieve of Eratosthenes, and once more by that of Sundaram.",
    limits=PrimesLimits,
    request=primes_request,
    task=new_task,
    answer=PrimesAnswer,
    prefix="Primes",
)

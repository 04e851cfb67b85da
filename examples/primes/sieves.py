"""Two segmented sieves that count the primes in ``low`` .. ``high - 1``. They share no line and no list of primes."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray


def base_primes(high: int) -> NDArray[np.int64]:
    """The odd primes up to the square root of ``high``."""
    limit = math.isqrt(max(high, 1)) + 1
    is_prime = np.ones(limit, dtype=bool)
    is_prime[:2] = False
    for number in range(2, math.isqrt(limit) + 1):
        if is_prime[number]:
            is_prime[number * number :: number] = False
    return np.flatnonzero(is_prime)[1:]


def eratosthenes(low: int, high: int, primes: NDArray[np.int64]) -> int:
    """Cross out the odd multiples of every prime. ``primes``: at least ``base_primes(high)``."""
    odd = low | 1
    is_prime = np.ones(max(0, (high - odd + 1) // 2), dtype=bool)
    for prime in primes.tolist():
        if prime * prime >= high:
            break
        multiple = max(prime * prime, -(-low // prime) * prime)
        multiple += prime * (1 - multiple % 2)
        is_prime[(multiple - odd) // 2 :: prime] = False
    num_primes = int(np.count_nonzero(is_prime))
    return num_primes + (low <= 2 < high) - (odd == 1 and len(is_prime) > 0)


def sundaram(low: int, high: int) -> int:
    """A number 2k + 1 is not prime exactly if k is i + j + 2ij for some i and j of at least 1.

    (S. P. Sundaram, 1934.) So no smaller primes need to be known.
    """
    first, end = low // 2, max(low // 2, high // 2)  # of k
    is_prime = np.ones(end - first, dtype=bool)
    for i in itertools.count(1):
        step = 2 * i + 1
        k = 2 * i * (i + 1)  # j = i: what is below was crossed out for a smaller i
        if k >= end:
            break
        k += max(0, -(-(first - k) // step)) * step
        is_prime[k - first :: step] = False
    return int(np.count_nonzero(is_prime)) + (low <= 2 < high) - (first == 0 and end > 0)

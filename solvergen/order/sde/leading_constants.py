"""Leading error constants of solvers with noise, as polynomials in the gain k of the denoiser.

All derivatives of k along λ are polynomials in k (k' = 2k (1 − k)), so that the leading effective
local error on a uniform grid is h^{p+1} P(k), relative to the mean or to the variance v. The
relative errors of the whole run then follow from

    mean        d/dλ error = h^p P(k)
    covariance  d/dλ error = h^p P(k) − 2 τ² (1 − k) error
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ...algebra.fixed import BITS, UNIT

NODES = tuple(Fraction(j, 13) for j in range(1, 13))
CHECKS = 3  # nodes that only confirm the polynomial
LARGEST = 10**7  # denominators beyond this are not recognised


def polynomial(value: Callable[[Fraction], int]) -> tuple[Fraction, ...] | None:
    """The polynomial with rational coefficients that takes given values.

    Args:
        value: from k to the value there, in units of 2^−256.

    Returns:
        Coefficients from the constant upwards; ``None`` when there is no such polynomial.

    >>> polynomial(lambda k: int(UNIT * (3 * k**2 - k / 7)))
    (Fraction(0, 1), Fraction(-1, 7), Fraction(3, 1))
    """
    values = [Fraction(value(k), UNIT) for k in NODES]
    count = len(NODES) - CHECKS
    # Newton's divided differences, then Horner's scheme into powers of k.
    table = list(values[:count])
    for level in range(1, count):
        for i in range(count - 1, level - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (NODES[i] - NODES[i - level])
    powers = [Fraction(0)] * count
    for i in range(count - 1, -1, -1):
        shifted = [Fraction(0), *powers[:-1]]
        powers = [s - NODES[i] * p for s, p in zip(shifted, powers, strict=True)]
        powers[0] += table[i]
    known = [p.limit_denominator(LARGEST) for p in powers]
    close = Fraction(1, 1 << (BITS // 2))
    for k, expected in zip(NODES, values, strict=True):
        if abs(sum(c * k**i for i, c in enumerate(known)) - expected) > close:
            return None
    while known and not known[-1]:
        known.pop()
    return tuple(known)


def spell(coefficients: tuple[Fraction, ...]) -> str:
    """A polynomial in k as text.

    >>> spell((Fraction(0), Fraction(-4), Fraction(4)))
    '-4 k + 4 k^2'
    """
    shown = ""
    for i, value in enumerate(coefficients):
        if value:
            name = "" if i == 0 else "k" if i == 1 else f"k^{i}"
            size = str(abs(value)) if abs(value) != 1 or not name else ""
            sign = (" - " if value < 0 else " + ") if shown else ("-" if value < 0 else "")
            shown += sign + " ".join(part for part in (size, name) if part)
    return shown or "0"

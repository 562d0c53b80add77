"""What a symbolic expansion would cost, and the refusal of one that costs too much."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb

from ..errors import OrderError

MONOMIALS = 4000  # an expansion of that size takes a few seconds


class Explosion(OrderError):
    """An expansion that would cost too much; the message says how much, and what holds anyway."""


def monomials(degree: int, symbols: int) -> int:
    """How many monomials of at most a degree there are.

    >>> monomials(9, 6)
    5005
    """
    return comb(degree + symbols, symbols)


def check(name: str, exponent: int, symbols: int, words: Iterable[str]) -> None:
    """Refuse the expansion of a leading error in too many symbols.

    Args:
        name: the solver.
        exponent: power of h of the leading error.
        symbols: how many step ratios and parameters are free.
        words: those of the leading error at a rational point, which are offered instead.

    Raises:
        Explosion: more than `MONOMIALS` monomials.
    """
    count = monomials(exponent, symbols)
    if count <= MONOMIALS:
        return
    raise Explosion(
        f"{name}: the leading error of h^{exponent} in {symbols} symbols has up to {count} "
        f"monomials per numerator, more than the {MONOMIALS} that are expanded; at rational step "
        f"ratios it is decided: order {exponent - 1}, words {', '.join(words)}"
    )

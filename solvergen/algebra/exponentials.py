"""Sums of exponentials of a step: Σ v e^{ch} h^n with rational c and v, as residues modulo a prime.

Such a sum is zero only if every term is: exponentials with different c are independent over the
rational functions of h. Whether a term is zero is decided modulo a prime of 61 bits, as orders are
(see `modular`), because numerators of exact fractions grow along a step.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial

from ..errors import OrderError
from .modular import PRIMES, PrimeField
from .scalar import Scalar

P = PRIMES[0]
_FIELD = PrimeField(P)


@cache
def _over_factorial(k: int) -> int:
    """1/k!."""
    return pow(factorial(k), -1, P)


class ExpSum:
    """Σ v e^{ch} h^n as {(c, n): v}, where c and v are residues and every v is non-zero.

    >>> bool(phi(1, H) * H - exp(H) + 1)
    False
    """

    __slots__ = ("parts",)

    def __init__(self, parts: dict[tuple[int, int], int]) -> None:
        self.parts = parts

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __add__(self, other: Scalar) -> ExpSum:
        parts = dict(self.parts)
        for key, value in _parts(other).items():
            total = (parts.get(key, 0) + value) % P
            if total:
                parts[key] = total
            else:
                parts.pop(key, None)
        return ExpSum(parts)

    __radd__ = __add__

    def __neg__(self) -> ExpSum:
        return ExpSum({key: P - value for key, value in self.parts.items()})

    def __sub__(self, other: Scalar) -> ExpSum:
        return self + (-other)

    def __rsub__(self, other: Scalar) -> ExpSum:
        return -self + other

    def __mul__(self, other: Scalar) -> ExpSum:
        if not isinstance(other, ExpSum):
            factor = _number(other)
            return ExpSum({k: v * factor % P for k, v in self.parts.items()} if factor else {})
        parts: dict[tuple[int, int], int] = {}
        theirs = other.parts.items()
        for (c, n), left in self.parts.items():
            for (d, m), right in theirs:
                key = ((c + d) % P, n + m)
                parts[key] = parts.get(key, 0) + left * right
        reduced = ((key, value % P) for key, value in parts.items())
        return ExpSum({key: value for key, value in reduced if value})

    __rmul__ = __mul__

    def reciprocal(self) -> ExpSum:
        """1 over a single term.

        Raises:
            OrderError: a sum, which has no inverse in this ring.
        """
        if len(self.parts) != 1:
            raise OrderError("weights divided by sums of exponentials: interpolation in a clock")
        ((c, n), value), *_ = self.parts.items()
        return ExpSum({(-c % P, -n): pow(value, -1, P)})

    def __truediv__(self, other: Scalar) -> ExpSum:
        if isinstance(other, ExpSum):
            return self * other.reciprocal()
        return self * (Fraction(1) / other)

    def __rtruediv__(self, other: Scalar) -> ExpSum:
        return self.reciprocal() * other

    def __pow__(self, exponent: int) -> Scalar:
        base = self if exponent >= 0 else self.reciprocal()
        result = ONE
        for _ in range(abs(exponent)):
            result = result * base
        return result

    def at_zero(self) -> ExpSum:
        """The value as h goes to 0 (poles must cancel, as they do in φ-functions)."""
        total = 0
        for (c, n), value in self.parts.items():
            if n <= 0:
                total += value * pow(c, -n, P) * _over_factorial(-n)
        return ExpSum(_constant(total % P))

    def slope(self) -> int:
        """c of a sum that is c h.

        Raises:
            OrderError: it is not a multiple of h.
        """
        if not self:
            return 0
        if set(self.parts) != {(0, 1)}:
            raise OrderError("functions of other arguments than multiples of h in the weights")
        return self.parts[0, 1]


ONE, H = ExpSum({(0, 0): 1}), ExpSum({(0, 1): 1})


def _number(value: Scalar) -> int:
    if isinstance(value, int | Fraction):
        return _FIELD.residue(value)
    raise OrderError("weights with irrational factors")


def _constant(value: int) -> dict[tuple[int, int], int]:
    return {(0, 0): value} if value else {}


def _parts(value: Scalar) -> dict[tuple[int, int], int]:
    return value.parts if isinstance(value, ExpSum) else _constant(_number(value))


def _slope(z: Scalar) -> int:
    """c of z = c h."""
    if isinstance(z, ExpSum):
        return z.slope()
    if z:
        raise OrderError("functions of constants in the weights")
    return 0


def exp(z: Scalar) -> ExpSum:
    """exp(c h)."""
    return ExpSum({(_slope(z), 0): 1})


def expm1(z: Scalar) -> ExpSum:
    """exp(c h) − 1."""
    return exp(z) - 1


def phi(k: int, z: Scalar) -> Scalar:
    """φ_k(c h) = (e^{ch} − Σ_{i<k} (ch)^i/i!)/(ch)^k."""
    c = _slope(z)
    if not c:
        return Fraction(1, factorial(k))
    inverse = pow(c, -1, P)
    parts = {(c, -k): pow(inverse, k, P)}
    for i in range(k):
        parts[0, i - k] = -pow(inverse, k - i, P) * _over_factorial(i) % P
    return ExpSum(parts)

"""Exact numbers with square roots: the field that rationals and finitely many roots generate."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import isqrt

from ..errors import OrderError
from .scalar import Scalar

LARGEST_TRIAL = 10_000


class Surd:
    """A sum of rational multiples of √d with square-free integers d > 0.

    >>> two = root(Fraction(2))
    >>> (1 + two) * (1 - two), 1 / (1 + two)
    (Fraction(-1, 1), -1 + sqrt(2))
    """

    __slots__ = ("parts",)

    def __init__(self, parts: dict[int, Fraction]) -> None:
        self.parts = parts

    def __bool__(self) -> bool:
        return True  # zeros and rationals never stay surds: see `_simplest`

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Surd) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.parts.items())))

    def __add__(self, other: Scalar) -> Scalar:
        parts = _parts(other)
        if parts is None:
            return NotImplemented
        total = dict(self.parts)
        for d, value in parts.items():
            total[d] = total.get(d, Fraction(0)) + value
        return _simplest(total)

    __radd__ = __add__

    def __neg__(self) -> Surd:
        return Surd({d: -value for d, value in self.parts.items()})

    def __sub__(self, other: Scalar) -> Scalar:
        return self + (-other)

    def __rsub__(self, other: Scalar) -> Scalar:
        return -self + other

    def __mul__(self, other: Scalar) -> Scalar:
        parts = _parts(other)
        if parts is None:
            return NotImplemented
        total: dict[int, Fraction] = {}
        for d, left in self.parts.items():
            for e, right in parts.items():
                square, free = _split(d * e)
                total[free] = total.get(free, Fraction(0)) + left * right * square
        return _simplest(total)

    __rmul__ = __mul__

    def reciprocal(self) -> Scalar:
        """1 over the number: 1/(a + b√p) = (a − b√p)/(a² − p b²), one prime at a time."""
        prime = min(primes_of(max(self.parts)))
        conjugate = Surd({d: -v if d % prime == 0 else v for d, v in self.parts.items()})
        norm = self * conjugate
        return conjugate * (Fraction(1) / norm)

    def __truediv__(self, other: Scalar) -> Scalar:
        return self * (Fraction(1) / other)

    def __rtruediv__(self, other: Scalar) -> Scalar:
        return self.reciprocal() * other

    def __pow__(self, exponent: int) -> Scalar:
        base: Scalar = self if exponent >= 0 else self.reciprocal()
        result: Scalar = Fraction(1)
        for _ in range(abs(exponent)):
            result = base * result
        return result

    def __float__(self) -> float:
        return float(sum(float(value) * d**0.5 for d, value in self.parts.items()))

    def __repr__(self) -> str:
        shown = []
        for d, value in sorted(self.parts.items()):
            times = "" if value == 1 else "-" if value == -1 else f"{value}*"
            shown.append(str(value) if d == 1 else f"{times}sqrt({d})")
        return " + ".join(shown).replace("+ -", "- ")


def _parts(value: Scalar) -> dict[int, Fraction] | None:
    if isinstance(value, Surd):
        return value.parts
    return {1: Fraction(value)} if isinstance(value, int | Fraction) else None


def _simplest(parts: dict[int, Fraction]) -> Scalar:
    parts = {d: value for d, value in parts.items() if value}
    if not parts:
        return Fraction(0)
    return parts[1] if set(parts) == {1} else Surd(parts)


@cache
def _split(n: int) -> tuple[int, int]:
    """n as square² · free.

    Raises:
        OrderError: the number is too large to be split by trial division.
    """
    square, free, divisor = 1, 1, 2
    while divisor * divisor <= n:
        while n % (divisor * divisor) == 0:
            n //= divisor * divisor
            square *= divisor
        if n % divisor == 0:
            n //= divisor
            free *= divisor
        divisor += 1
        if divisor > LARGEST_TRIAL:
            whole = isqrt(n)
            if whole * whole == n:
                return square * whole, free
            raise OrderError(f"sqrt of {n}: too large to reduce exactly; use a rational value")
    return square, free * n


def primes_of(n: int) -> list[int]:
    """The prime factors of a square-free number."""
    found, divisor = [], 2
    while divisor * divisor <= n:
        if n % divisor == 0:
            found.append(divisor)
            n //= divisor
        else:
            divisor += 1
    return [*found, n] if n > 1 else found


def root(value: Scalar) -> Scalar:
    """The square root of a non-negative rational: a rational where it is one, else a surd.

    Raises:
        OrderError: negative numbers, and anything that is not rational.
    """
    if isinstance(value, int):
        value = Fraction(value)
    if not isinstance(value, Fraction):
        raise OrderError(
            "sqrt of a symbolic or irrational quantity is not expanded; give the parameter a value"
        )
    if value < 0:
        raise OrderError(f"sqrt of the negative number {value}")
    square, free = _split(value.numerator * value.denominator)
    return _simplest({free: Fraction(square, value.denominator)})

"""Power series with real coefficients in fixed point: what decides the orders of noisy solvers.

Weights of noise are square roots, and their radicands hold levels and constants of any kind, which
neither rationals nor residues follow. Coefficients here are integers in units of 2^−256. One below
2^−128 counts as zero: at random points of the free quantities an accident of that size has a chance
of about 10^−38, and one above it is not rounding, which stays some sixty digits below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import factorial
from operator import mul
from typing import cast, overload

import mpmath

from ..errors import OrderError
from ..expr.evaluation import left_sum
from .quadrature import expanded, settled, vanishes
from .scalar import Scalar
from .series import Series, integer_product, integer_sum

BITS = 256
UNIT = 1 << BITS
TINY = 1 << (BITS // 2)


def fixed(value: Fraction | int) -> int:
    """An exact number in units of 2^−256."""
    return (value.numerator << BITS) // value.denominator


def real(value: int) -> Scalar:
    """A coefficient as an mpmath number, in the current precision."""
    return mpmath.ldexp(value, -BITS)


@lru_cache(1 << 12)
def _elementary(name: str, value: int) -> int:
    """exp, log or sqrt of a constant term: as h shrinks, all steps come to the same ones."""
    with mpmath.workprec(2 * BITS):
        return int(mpmath.nint(mpmath.ldexp(getattr(mpmath, name)(real(value)), BITS)))


class FixedSeries(Series):
    """A truncated Laurent series; other scalars that it meets are exact numbers.

    >>> x = FixedSeries(1, [UNIT], 4)
    >>> [Fraction(value, UNIT) for value in (1 / (2 - 2 * x)).terms][1]
    Fraction(1, 2)
    """

    __slots__ = ()

    terms: list[int]

    def __init__(self, low: int, terms: Sequence[Scalar], end: int) -> None:
        values: Sequence[int] = terms  # type: ignore[assignment]
        super().__init__(low, [v if v > TINY or v < -TINY else 0 for v in values], end)

    def coefficient(self, power: int) -> int:
        """The coefficient of x^power, in units of 2^−256.

        Raises:
            OrderError: the power lies beyond the truncation.
        """
        index = power - self.low
        if 0 <= index < len(self.terms) and power < self.end:
            return self.terms[index]
        super().coefficient(power)
        return 0

    @property
    def constant(self) -> int:
        """The constant term.

        Raises:
            OrderError: negative powers, or nothing known.
        """
        if self.terms and self.low < 0:
            raise OrderError("a function of a quantity that grows without bound as h shrinks")
        return self.coefficient(0)

    def __add__(self, other: Scalar) -> FixedSeries:
        if not isinstance(other, FixedSeries):
            if not other:
                return self
            other = FixedSeries(0, [fixed(cast(Fraction, other))], max(self.end, 1))
        low, terms, end = integer_sum(self, other)
        return FixedSeries(low, terms, end)

    __radd__ = __add__

    def __neg__(self) -> FixedSeries:
        made = object.__new__(FixedSeries)
        made.low, made.terms, made.end = self.low, [-value for value in self.terms], self.end
        return made

    @overload
    def __mul__(self, other: FixedSeries) -> FixedSeries: ...
    @overload
    def __mul__(self, other: Scalar) -> Scalar: ...
    def __mul__(self, other: Scalar) -> Scalar:
        if not isinstance(other, FixedSeries):
            if not other:
                return Fraction(0)
            exact = cast(Fraction, other)
            top, bottom = exact.numerator, exact.denominator
            if top == bottom:
                return self
            return FixedSeries(self.low, [v * top // bottom for v in self.terms], self.end)
        low, terms, end = integer_product(self, other)
        return FixedSeries(low, [value >> BITS for value in terms], end)

    __rmul__ = __mul__

    def reciprocal(self) -> FixedSeries:
        """1 over the series."""
        if not self.terms:
            raise OrderError("division by zero in a weight; check the nodes and the parameters")
        known, step = _thinned(self.terms, self.end - self.low)
        first = (UNIT << BITS) // known[0]
        terms = [first]
        for _ in known[1:]:
            total = sum(map(mul, known[1:], reversed(terms)))
            terms.append(-(total >> BITS) * first >> BITS)
        return FixedSeries(-self.low, _spread(terms, step), self.end - 2 * self.low)

    def shifted(self, power: int) -> FixedSeries:
        """The series times a power of its variable."""
        return FixedSeries(self.low + power, list(self.terms), self.end + power)


def _thinned(terms: list[int], count: int) -> tuple[list[int], int]:
    """So many coefficients, every other one where the rest is zero, and the step between them.

    With h = x^2 most series have even powers alone, and recurrences cost the square of their length.
    """
    step = 1 if any(terms[1::2]) else 2
    thin = terms[:count:step]
    return thin + [0] * (-(-count // step) - len(thin)), step


def _spread(terms: list[int], step: int) -> list[int]:
    """Coefficients as they were before they were thinned."""
    if step == 1:
        return terms
    whole = [0] * (step * len(terms))
    whole[::step] = terms
    return whole


def _substituted(values: list[int], inner: FixedSeries, end: int) -> FixedSeries:
    """Σ values_k inner^k, for a series without constant term."""
    if len(inner.terms) == 1:  # a step on most grids
        end = min(end, inner.end)
        terms, power = [0] * end, UNIT
        for place, value in zip(range(0, end, inner.low), values, strict=False):
            terms[place] = value * power >> BITS
            power = power * inner.terms[0] >> BITS
        return FixedSeries(0, terms, end)
    total = FixedSeries(0, [], end)
    for value in reversed(values):
        total = (total * inner).truncated(end)
        if value:
            total = total + FixedSeries(0, [value], end)
    return total


class RealRing:
    """Series in x with h = x^power, and the functions that weights may use.

    Args:
        end: terms from x^end on are unknown.
        power: what h is in x; 0 for a finite step of the given size.
        size: the finite step.
    """

    def __init__(self, end: int, power: int = 2, size: Fraction = Fraction(0)) -> None:
        self.end, self.power = end, power
        self.x = FixedSeries(1, [UNIT], end)
        self.h = self.constant(size) if not power else FixedSeries(power, [UNIT], end)
        self.functions: dict[str, Callable[..., Scalar]] = {
            "exp": self.exp,
            "expm1": lambda z: self.exp(z) - 1,
            "log": self.log,
            "log1p": lambda z: self.log(1 + z),
            "sqrt": self.sqrt,
            "phi": self.phi,
            "min": self.least,
            "between": lambda low, value, high: Fraction(1),  # orders hold inside a window
            "integral": self.integral,
            "riemann": self.riemann,
        }

    def constant(self, value: Fraction | int) -> FixedSeries:
        """An exact number as a series."""
        return FixedSeries(0, [fixed(value)], self.end)

    def lifted(self, value: Scalar) -> FixedSeries:
        """A scalar or a series as a series."""
        if isinstance(value, FixedSeries):
            return value
        return self.constant(Fraction(cast(Fraction, value)))

    def exp(self, z: Scalar) -> Scalar:
        """exp(z), by y' = z' y."""
        if not z and not isinstance(z, Series):
            return Fraction(1)
        z = self.lifted(z)
        start = z.constant
        whole, step = _thinned([0] * z.low + z.terms, z.end)
        slopes = [k * value for k, value in enumerate(whole)][1:]
        terms = [_elementary("exp", start) if start else UNIT]
        for n in range(1, len(whole)):
            terms.append((sum(map(mul, slopes, reversed(terms))) >> BITS) // n)
        return FixedSeries(0, _spread(terms, step), z.end)

    def log(self, z: Scalar) -> Scalar:
        """log(z), by z y' = z'.

        Raises:
            OrderError: of zero, of a negative number, or of a quantity that vanishes with h.
        """
        z = self.lifted(z)
        start = z.constant
        if start <= 0:
            raise OrderError("log of a quantity that is not positive as h goes to 0")
        whole, step = _thinned(z.terms, z.end)
        terms, slopes = [0 if start == UNIT else _elementary("log", start)], list[int]()
        inverse = (UNIT << BITS) // start
        for n in range(1, len(whole)):
            total = (n * whole[n] << BITS) - sum(map(mul, slopes, whole[n - 1 : 0 : -1]))
            terms.append((total >> BITS) * inverse // n >> BITS)
            slopes.append(n * terms[n])
        return FixedSeries(0, _spread(terms, step), z.end)

    def sqrt(self, z: Scalar) -> Scalar:
        """The positive square root.

        Raises:
            OrderError: a negative quantity, or one whose root is not a power series in √h.
        """
        if not z:
            return z
        z = self.lifted(z)
        if z.terms[0] < 0:
            raise OrderError("sqrt of a quantity that is negative as h goes to 0: a variance < 0")
        if z.low % 2:
            raise OrderError("sqrt of an odd power of sqrt(h) has no expansion; rewrite the weight")
        first = _elementary("sqrt", z.terms[0])
        inverse = (UNIT << BITS) // (2 * first)
        whole, step = _thinned(z.terms, z.end - z.low)
        terms = list[int]()  # after the first
        for n in range(1, len(whole)):
            total = (whole[n] << BITS) - sum(map(mul, terms, reversed(terms)))
            terms.append((total >> BITS) * inverse >> BITS)
        found = _spread([first, *terms], step)
        return FixedSeries(z.low // 2, found, z.end - z.low // 2)

    def phi(self, k: int, z: Scalar) -> Scalar:
        """φ_k(z) = Σ z^m/(m+k)!."""
        if k == 0:
            return self.exp(z)
        if not z:
            value = Fraction(1, factorial(k))
            return self.constant(value).truncated(z.end) if isinstance(z, Series) else value
        z = self.lifted(z)
        if z.low < 1 and z.constant:
            found = self.lifted(self.exp(z))
            for j in range(k):
                found = (found - Fraction(1, factorial(j))) / z
            return found
        powers = range(-(-z.end // z.low) + 1)
        return _substituted([fixed(Fraction(1, factorial(k + m))) for m in powers], z, z.end)

    def integral(self, f: Callable[[Scalar], Scalar], low: Scalar, high: Scalar) -> Scalar:
        """∫ f over an interval that shrinks with h, or is finite."""
        if vanishes(high - low):
            return expanded(f, low, high)
        return settled(f, low, high, 2 * BITS)

    def riemann(
        self, f: Callable[[Scalar], Scalar], low: Scalar, high: Scalar, count: int
    ) -> Scalar:
        """The left sum of `count` equal parts."""
        if vanishes(high - low):
            return expanded(f, low, high, count)
        return left_sum(f, low, high, count)

    def least(self, left: Scalar, right: Scalar) -> Scalar:
        """The smaller one as h goes to 0."""
        gap = self.lifted(left) - right
        return right if gap.terms and gap.terms[0] > 0 else left

    def composed(self, outer: FixedSeries, inner: Scalar) -> FixedSeries:
        """Σ outer_k inner^k for a series `outer` in another variable; `inner` vanishes with h."""
        inner = self.lifted(inner)
        known = outer.end * inner.low if inner.terms else self.end
        values = [outer.coefficient(k) for k in range(outer.low, outer.end)]
        total = _substituted(values, inner, self.end)
        whole = self.lifted(total * inner**outer.low) if outer.low else total
        return whole.like(whole.low, whole.terms, min(known, self.end, whole.end))

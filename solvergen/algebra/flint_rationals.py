"""Series over the rationals on python-flint's polynomials, where that is installed (the extra `fast`).

The same numbers as `Series`, which stays the fallback and takes over wherever a coefficient is a root
or a symbol; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import factorial
from typing import TYPE_CHECKING, cast, overload

from . import series
from .modular import no_division
from .scalar import Scalar
from .series import Series, refuse_constant

try:
    from flint import fmpq, fmpq_poly
except ImportError:  # pragma: no cover - depends on what is installed
    if not TYPE_CHECKING:
        fmpq = fmpq_poly = None


class RationalSeries(Series):
    """A truncated Laurent series with rational coefficients, held as one polynomial.

    >>> h = RationalSeries(1, fmpq_poly([1]), 4)
    >>> 1 / (1 - h / 2)
    1 + 1/2*x + 1/4*x^2 + 1/8*x^3 + O(x^4)
    """

    __slots__ = ("_terms", "polynomial")

    def __init__(self, low: int, polynomial: fmpq_poly, end: int) -> None:
        if low + len(polynomial) > end:
            polynomial = polynomial.truncate(max(0, end - low))
        size = len(polynomial)
        if size and not polynomial[0]:
            skip = next(k for k in range(1, size) if polynomial[k])
            polynomial, low = polynomial.right_shift(skip), low + skip
        self.low, self.end = (low if size else end), end
        self.polynomial = polynomial
        self._terms: list[Scalar] | None = None

    @property
    def terms(self) -> Sequence[Scalar]:  # type: ignore[override]
        """The coefficients from x^low on."""
        if self._terms is None:
            self._terms = [_fraction(value) for value in self.polynomial.coeffs()]
        return self._terms

    def __bool__(self) -> bool:
        return len(self.polynomial) > 0

    def like(self, low: int, terms: Sequence[Scalar], end: int) -> Series:  # type: ignore[override]
        """A series with these coefficients, of this kind where they are rational."""
        return lifted(Series(low, terms, end))

    def coefficient(self, power: int) -> Scalar:
        """The coefficient of x^power.

        Raises:
            OrderError: the power lies beyond the truncation.
        """
        if self.low <= power < self.end and power - self.low < len(self.polynomial):
            return _fraction(self.polynomial[power - self.low])
        return super().coefficient(power)

    def truncated(self, end: int) -> RationalSeries:
        """The same series, known to a lower power only."""
        return self if end >= self.end else RationalSeries(self.low, self.polynomial, end)

    def plain(self) -> Series:
        """The same series as it is without python-flint."""
        return Series(self.low, self.terms, self.end)

    def __add__(self, other: Scalar) -> Series:  # type: ignore[override]
        if not isinstance(other, Series):
            if not other:
                return self
            if not isinstance(other, int | Fraction):
                return self.plain() + other
            other = RationalSeries(0, fmpq_poly([_rational(other)]), max(self.end, 1))
        right = lifted(other)
        if not isinstance(right, RationalSeries):
            return self.plain() + right
        low, end = min(self.low, right.low), min(self.end, right.end)
        parts = (s.polynomial.left_shift(s.low - low) for s in (self, right))
        return RationalSeries(low, next(parts) + next(parts), end)

    __radd__ = __add__  # type: ignore[assignment]

    def __neg__(self) -> RationalSeries:
        return RationalSeries(self.low, -self.polynomial, self.end)

    @overload  # type: ignore[override]
    def __mul__(self, other: Series) -> Series: ...
    @overload
    def __mul__(self, other: Scalar) -> Scalar: ...
    def __mul__(self, other: Scalar) -> Scalar:
        if not isinstance(other, Series):
            if not other:
                return Fraction(0)
            if not isinstance(other, int | Fraction):
                return self.plain() * other
            return RationalSeries(self.low, self.polynomial * _rational(other), self.end)
        right = lifted(other)
        if not isinstance(right, RationalSeries):
            return self.plain() * right
        low = self.low + right.low
        end = min(self.end + right.low, right.end + self.low)
        product = self.polynomial.mul_low(right.polynomial, max(0, end - low))
        return RationalSeries(low, product, end)

    __rmul__ = __mul__  # type: ignore[assignment]

    def reciprocal(self) -> RationalSeries:
        """1 over the series, by Newton's iteration: each round doubles the known terms."""
        if not self:
            raise no_division()
        count, known = self.end - self.low, 1
        inverse = fmpq_poly([1 / self.polynomial[0]])
        while known < count:
            known = min(2 * known, count)
            wrong = self.polynomial.mul_low(inverse, known)
            inverse = inverse.mul_low(2 - wrong, known)
        return RationalSeries(-self.low, inverse, self.end - 2 * self.low)


def lifted(value: Series) -> Series:
    """A series on flint's polynomials where its coefficients are rational; else itself."""
    if isinstance(value, RationalSeries):
        return value
    if not all(isinstance(term, int | Fraction) for term in value.terms):
        return value
    terms = [_rational(cast(Fraction, term)) for term in value.terms]
    return RationalSeries(value.low, fmpq_poly(terms), value.end)


def _rational(value: int | Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)


def _fraction(value: fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


@cache
def _over_factorial(k: int) -> fmpq:
    return fmpq(1, factorial(k))


def exp(z: Scalar) -> Scalar:
    """exp(z) of a series without constant term."""
    return phi(0, z)


def expm1(z: Scalar) -> Scalar:
    """exp(z) − 1."""
    return exp(z) - 1


def phi(k: int, z: Scalar) -> Scalar:
    """φ_k(z) = Σ z^m/(m+k)! of a series without constant term."""
    if not isinstance(z, RationalSeries) or not z:
        return series.phi(k, z)
    refuse_constant(z, "phi" if k else "exp")
    argument = z.polynomial.left_shift(z.low)
    count = -(-z.end // z.low)
    total = fmpq_poly([_over_factorial(k + count)])
    for m in range(count - 1, -1, -1):
        total = total.mul_low(argument, z.end) + _over_factorial(k + m)
    return RationalSeries(0, total, z.end)


def log1p(z: Scalar) -> Scalar:
    """log(1 + z) of a series without constant term: the integral of z'/(1 + z)."""
    if not isinstance(z, RationalSeries) or not z:
        return series.log1p(z)
    refuse_constant(z, "log1p")
    whole = z.polynomial.left_shift(z.low)
    inverse = cast(RationalSeries, 1 + z).reciprocal().polynomial
    slope = whole.derivative().mul_low(inverse, z.end - 1)
    return RationalSeries(0, slope.integral(), z.end)

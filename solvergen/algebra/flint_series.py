"""Series modulo a prime on python-flint's polynomials, where that is installed (the extra `fast`).

The same numbers as `ModularSeries`, which stays the fallback; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Self, cast, overload

from .modular import ModularSeries, PrimeField, no_division
from .scalar import Scalar
from .series import Series

try:
    from flint import nmod_poly
except ImportError:  # pragma: no cover - depends on what is installed
    if not TYPE_CHECKING:
        nmod_poly = None

INSTALLED = nmod_poly is not None


class FlintSeries(ModularSeries):
    """A truncated Laurent series with residues for coefficients, held as one polynomial.

    >>> from .modular import PRIMES
    >>> h = FlintSeries(1, [1], 4, PrimeField(PRIMES[0]))
    >>> (2 / (1 - h)).terms
    [2, 2, 2, 2]
    """

    __slots__ = ("polynomial",)

    def __init__(
        self, low: int, terms: Sequence[Scalar] | nmod_poly, end: int, field: PrimeField
    ) -> None:
        polynomial = (
            terms
            if isinstance(terms, nmod_poly)
            else nmod_poly([int(cast(int, term)) for term in terms], field.prime)
        )
        self._hold(low, polynomial, end, field)

    def _made(self, low: int, polynomial: nmod_poly, end: int) -> Self:
        """A series in the same field, of a polynomial."""
        made = object.__new__(type(self))
        made._hold(low, polynomial, end, self.field)
        return made

    def _hold(self, low: int, polynomial: nmod_poly, end: int, field: PrimeField) -> None:
        """Keep a polynomial up to the truncation, without zeros before its first coefficient."""
        size = len(polynomial)
        if low + size > end:
            polynomial = polynomial.truncate(max(0, end - low))
            size = len(polynomial)
        if size and not polynomial[0]:
            skip = next(k for k in range(1, size) if polynomial[k])
            polynomial, low = polynomial.right_shift(skip), low + skip
        self.low, self.end = (low if size else end), end
        self.polynomial, self.field = polynomial, field

    @property
    def terms(self) -> list[int]:  # type: ignore[override]
        """The residues from x^low on."""
        return [int(value) for value in self.polynomial.coeffs()]

    def __bool__(self) -> bool:
        return len(self.polynomial) > 0

    def like(self, low: int, terms: Sequence[Scalar] | nmod_poly, end: int) -> Self:
        """A series in the same field."""
        return type(self)(low, terms, end, self.field)

    def coefficient(self, power: int) -> Scalar:
        """The coefficient of x^power.

        Raises:
            OrderError: the power lies beyond the truncation.
        """
        if self.low <= power < self.end and power - self.low < len(self.polynomial):
            return int(self.polynomial[power - self.low])
        return super().coefficient(power)

    def truncated(self, end: int) -> Self:
        """The same series, known to a lower power only."""
        return self if end >= self.end else self.like(self.low, self.polynomial, end)

    def _lifted(self, other: Scalar) -> Self:
        if isinstance(other, type(self)):
            return other
        if isinstance(other, Series):
            return self.like(other.low, [self.field.residue(t) for t in other.terms], other.end)
        return self.like(0, [self.field.residue(other)], max(self.end, 1))

    def __add__(self, other: Scalar) -> Self:
        if not isinstance(other, Series) and not other:
            return self
        right = self._lifted(other)
        low, end = min(self.low, right.low), min(self.end, right.end)
        first, second = self.polynomial, right.polynomial
        if self.low > low:
            first = first.left_shift(self.low - low)
        elif right.low > low:
            second = second.left_shift(right.low - low)
        return self._made(low, first + second, end)

    __radd__ = __add__

    def __neg__(self) -> Self:
        return self.like(self.low, -self.polynomial, self.end)

    @overload
    def __mul__(self, other: Self) -> Self: ...
    @overload
    def __mul__(self, other: Scalar) -> Scalar: ...
    def __mul__(self, other: Scalar) -> Scalar:
        if not isinstance(other, Series):
            if not other:
                return Fraction(0)
            factor = self.field.residue(other)
            return self if factor == 1 else self._made(self.low, self.polynomial * factor, self.end)
        right = other if type(other) is type(self) else self._lifted(other)
        low = self.low + right.low
        end = min(self.end + right.low, right.end + self.low)
        product = self.polynomial.mul_low(right.polynomial, max(0, end - low))
        return self._made(low, product, end)

    __rmul__ = __mul__

    def reciprocal(self) -> Self:
        """1 over the series."""
        if not self:
            raise no_division()
        inverse = self.polynomial.inverse_series_trunc(self.end - self.low)
        return self.like(-self.low, inverse, self.end - 2 * self.low)

    def inside(self, coefficients: Sequence[Fraction]) -> Self:
        """The value of a polynomial, lowest coefficient first, at a series without constant term."""
        z, field = self.polynomial.left_shift(self.low), self.field
        total = nmod_poly([field.residue(coefficients[-1])], field.prime)
        for value in reversed(coefficients[:-1]):
            total = total.mul_low(z, self.end) + field.residue(value)
        return self._made(0, total, self.end)

"""Truncated Laurent series in one small variable, exact, over any field of scalars.

Each series records its truncation order (`end`), so a missing term raises an error instead of being
read as zero. Numbers that do not depend on the variable stay plain scalars (`Fraction`, `Surd`,
`Traced`) and mix freely with series.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import factorial
from operator import add, mul
from typing import Protocol, Self, overload

from ..errors import OrderError
from .scalar import Scalar
from .surd import root

ZERO, ONE = Fraction(0), Fraction(1)


class Series:
    """terms[0]·x^low + terms[1]·x^(low+1) + … + O(x^end).

    >>> h = Series(1, [ONE], 4)
    >>> 1 / (1 - h)
    1 + x + x^2 + x^3 + O(x^4)
    """

    __slots__ = ("end", "low", "terms")

    terms: Sequence[Scalar]

    def __init__(self, low: int, terms: Sequence[Scalar], end: int) -> None:
        if low + len(terms) > end:
            terms = terms[: max(0, end - low)]
        skip = 0
        while skip < len(terms) and not terms[skip]:
            skip += 1
        if skip:
            terms, low = terms[skip:], low + skip
        while terms and not terms[-1]:
            terms = terms[:-1]
        self.low = low if terms else end
        self.terms, self.end = terms, end

    def __bool__(self) -> bool:
        return bool(self.terms)

    def like(self, low: int, terms: Sequence[Scalar], end: int) -> Self:
        """A series of the same kind."""
        return type(self)(low, terms, end)

    def coefficient(self, power: int) -> Scalar:
        """The coefficient of x^power.

        Raises:
            OrderError: the power lies beyond the truncation.
        """
        if power >= self.end:
            raise OrderError(f"coefficient {power} of a series known to O(x^{self.end}) only")
        index = power - self.low
        return self.terms[index] if 0 <= index < len(self.terms) else ZERO

    def truncated(self, end: int) -> Self:
        """The same series, known to a lower power only."""
        return self if end >= self.end else self.like(self.low, self.terms, end)

    def __add__(self, other: Scalar) -> Self:
        if not isinstance(other, Series):
            if not other:
                return self
            other = self.like(0, [other], max(self.end, 1))
        end = min(self.end, other.end)
        low = min(self.low, other.low)
        terms: list[Scalar] = [ZERO] * max(0, min(end, _stop(self, other)) - low)
        for part in (self, other):
            for i, value in enumerate(part.terms, part.low - low):
                if i < len(terms):
                    terms[i] = terms[i] + value
        return self.like(low, terms, end)

    __radd__ = __add__

    def __neg__(self) -> Self:
        return self.like(self.low, [-value for value in self.terms], self.end)

    def __sub__(self, other: Scalar) -> Self:
        return self + (-other)

    def __rsub__(self, other: Scalar) -> Self:
        return -self + other

    @overload
    def __mul__(self, other: Self) -> Self: ...
    @overload
    def __mul__(self, other: Scalar) -> Scalar: ...
    def __mul__(self, other: Scalar) -> Scalar:
        if not isinstance(other, Series):
            if not other:
                return ZERO
            return self.like(self.low, [value * other for value in self.terms], self.end)
        low = self.low + other.low
        end = min(self.end + other.low, other.end + self.low)
        terms: list[Scalar] = [ZERO] * max(
            0, min(end - low, len(self.terms) + len(other.terms) - 1)
        )
        for i, left in enumerate(self.terms):
            if left:
                for j, right in enumerate(other.terms[: max(0, len(terms) - i)], i):
                    terms[j] = terms[j] + left * right
        return self.like(low, terms, end)

    __rmul__ = __mul__

    def reciprocal(self) -> Self:
        """1 over the series.

        Raises:
            OrderError: division by a series that is zero as far as it is known.
        """
        if not self.terms:
            raise OrderError("division by zero in a weight; check the nodes and the parameters")
        count, first = self.end - self.low, 1 / self.terms[0]
        terms = [first]
        for n in range(1, count):
            total: Scalar = ZERO
            for k in range(1, min(n, len(self.terms) - 1) + 1):
                total = total + self.terms[k] * terms[n - k]
            terms.append(-total * first if total else ZERO)
        return self.like(-self.low, terms, self.end - 2 * self.low)

    @overload
    def __truediv__(self, other: Self) -> Self: ...
    @overload
    def __truediv__(self, other: Scalar) -> Scalar: ...
    def __truediv__(self, other: Scalar) -> Scalar:
        if isinstance(other, Series):
            return self * other.reciprocal()
        return self * (ONE / other)

    def __rtruediv__(self, other: Scalar) -> Scalar:
        return self.reciprocal() * other

    def __pow__(self, exponent: int) -> Scalar:
        base: Scalar = self if exponent >= 0 else self.reciprocal()
        result: Scalar = ONE
        for _ in range(abs(exponent)):
            result = base * result
        return result

    def __repr__(self) -> str:
        shown = []
        for power, value in enumerate(self.terms, self.low):
            if value:
                name = "" if power == 0 else "x" if power == 1 else f"x^{power}"
                shown.append(name if value == 1 and name else f"{value}*{name}".rstrip("*"))
        return " + ".join([*shown, f"O(x^{self.end})"])


def coefficient(value: Scalar, power: int) -> Scalar:
    """The coefficient of x^power of a series, or of a number, which is its own constant term."""
    if isinstance(value, Series):
        return value.coefficient(power)
    return value if power == 0 else ZERO


def _stop(*parts: Series) -> int:
    return max((part.low + len(part.terms) for part in parts if part.terms), default=-(10**9))


class Integers(Protocol):
    """A series whose coefficients are integers, in whatever unit or modulus."""

    low: int
    end: int
    terms: list[int]


def integer_sum(left: Integers, right: Integers) -> tuple[int, list[int], int]:
    """Lowest power, coefficients and truncation of a sum, before any reduction."""
    end, low = min(left.end, right.end), min(left.low, right.low)
    longer, shorter = ([0] * (part.low - low) + part.terms for part in (left, right))
    if len(longer) < len(shorter):
        longer, shorter = shorter, longer
    terms = [*map(add, longer, shorter), *longer[len(shorter) :]]
    return low, terms[: max(0, end - low)], end


def integer_product(left: Integers, right: Integers) -> tuple[int, list[int], int]:
    """The same of a product."""
    low, ours, theirs = left.low + right.low, left.terms, right.terms
    end = min(left.end + right.low, right.end + left.low)
    size = max(0, min(end - low, len(ours) + len(theirs) - 1))
    if any(ours[1::2]) or any(theirs[1::2]):
        return low, _convolved(ours, theirs, size), end
    terms = [0] * size  # with h = x^2, most series have every other term alone
    terms[::2] = _convolved(ours[::2], theirs[::2], (size + 1) // 2)
    return low, terms, end


def _convolved(left: list[int], right: list[int], size: int) -> list[int]:
    """The first so many coefficients of a product of polynomials."""
    backwards, last = right[::-1], len(right) - 1
    return [
        sum(map(mul, left, backwards[last - k :]))
        if k <= last
        else sum(map(mul, left[k - last :], backwards))
        for k in range(size)
    ]


def refuse_constant(z: Scalar, function: str) -> None:
    """Refuse arguments that do not vanish with h: their values are irrational."""
    if not isinstance(z, Series) and z:
        name = "exp, expm1 or phi" if function in ("exp", "phi") else function
        raise OrderError(
            f"a weight holds {name} of a number, which is irrational, so that nothing exact follows; make the "
            "value a parameter with its decimal as default: orders are then those of that decimal, and "
            "`solvergen explain SPEC --constants` shows those for almost all"
        )
    if isinstance(z, Series) and z.terms and z.low < 1:
        raise OrderError(
            f"{function} of an argument that does not vanish with h has no rational value; "
            "write weights in which such arguments are multiples of h"
        )


def exp(z: Scalar) -> Scalar:
    """exp(z) of a series without constant term, by y' = z' y."""
    refuse_constant(z, "exp")
    if not isinstance(z, Series):
        return ONE
    terms: list[Scalar] = [ONE]
    for n in range(1, z.end if z else 0):
        total: Scalar = ZERO
        for k in range(max(1, z.low), min(n, z.low + len(z.terms) - 1) + 1):
            value = z.terms[k - z.low]
            if value:
                total = total + k * value * terms[n - k]
        terms.append(total / n if total else ZERO)
    return Series(0, terms, z.end)


def expm1(z: Scalar) -> Scalar:
    """exp(z) − 1."""
    return exp(z) - 1


def log1p(z: Scalar) -> Scalar:
    """log(1 + z) of a series without constant term, by (1 + z) y' = z'."""
    refuse_constant(z, "log1p")
    if not isinstance(z, Series) or not z:
        return z
    slope = Series(z.low - 1, [k * v for k, v in enumerate(z.terms, z.low)], z.end - 1)
    slope = slope * (1 + z).reciprocal()
    terms = [value / (k + 1) for k, value in enumerate(slope.terms, slope.low)]
    return Series(slope.low + 1, terms, slope.end + 1)


def phi(k: int, z: Scalar) -> Scalar:
    """φ_k(z) = Σ z^m/(m+k)! of a series without constant term."""
    if k == 0:
        return exp(z)
    refuse_constant(z, "phi")
    last = Fraction(1, factorial(k))
    if not isinstance(z, Series):
        return last
    if not z:
        return Series(0, [last], z.end)
    if len(z.terms) == 1:
        return _phi_of_monomial(k, z)
    count = -(-z.end // z.low)
    total = Series(0, [Fraction(1, factorial(k + count))], z.end)
    for m in range(count - 1, -1, -1):
        total = (total * z).truncated(z.end) + Fraction(1, factorial(k + m))
    return total


def _phi_of_monomial(k: int, z: Series) -> Series:
    terms: list[Scalar] = [ZERO] * z.end
    power: Scalar = ONE
    for m in range(-(-z.end // z.low)):
        terms[m * z.low] = power / factorial(k + m)
        power = power * z.terms[0]
    return Series(0, terms, z.end)


def sqrt(z: Scalar) -> Scalar:
    """The square root; constant terms that are not squares give surds."""
    if not isinstance(z, Series):
        return root(z)
    if not z.terms or z.low % 2:
        raise OrderError("sqrt of an odd power of h is not a power series; rewrite the weight")
    first = root(z.terms[0])
    ratio = z * Series(-z.low, [1 / z.terms[0]], z.end - 2 * z.low)
    terms: list[Scalar] = [ONE]
    for n in range(1, z.end - z.low):  # (Σ y_k x^k)² = ratio
        total = ratio.coefficient(n) if n < ratio.end else ZERO
        for k in range(1, n):
            total = total - terms[k] * terms[n - k]
        terms.append(total / 2)
    return Series(z.low // 2, [first * value for value in terms], z.end - z.low // 2)

"""Power series modulo a large prime: what decides orders.

A coefficient that is non-zero modulo a prime is non-zero, which is all that "order p and not p + 1"
needs; one that vanishes modulo a prime of 61 bits vanishes, up to a chance of 10⁻¹⁸. Integers
modulo a prime are many times faster than fractions and surds, whose numerators grow.

Square roots become square roots modulo the prime, one sign for each prime factor of the radicand,
so that products of roots agree with those of `Surd`. Constants with roots are recovered from their
values modulo a few primes and for all signs (Chinese remainders and rational reconstruction; von
zur Gathen and Gerhard, Modern Computer Algebra, section 5.10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import factorial
from typing import Self, overload

from ..errors import OrderError
from .scalar import Scalar
from .series import Series, integer_product, integer_sum, refuse_constant
from .surd import Surd, primes_of

# Primes that are 3 modulo 4, where x^((p+1)/4) is a root of every square x.
OFFSETS = (
    1,
    45,
    229,
    465,
    829,
    985,
    1153,
    1281,
    1425,
    1489,
    1525,
    1533,
    1609,
    1621,
    1669,
    1741,
    1753,
    1813,
    1845,
    1849,
    1869,
    1909,
    1921,
    1945,
    2133,
    2185,
    2373,
    2385,
    2401,
    2605,
    2665,
    3045,
)
PRIMES = tuple(2**61 - offset for offset in OFFSETS)


class NotASquare(Exception):
    """A radicand has no root modulo the prime: take another prime."""


def no_division() -> OrderError:
    """The refusal to divide by a series that vanishes."""
    return OrderError("division by zero in a weight; check the nodes and the parameters")


class PrimeField:
    """Residues of exact scalars modulo a prime.

    Args:
        prime: a large prime, 3 modulo 4.
        signs: sign of the root of each prime radicand; + unless given.
    """

    def __init__(self, prime: int, signs: Mapping[int, int] | None = None) -> None:
        self.prime, self.signs = prime, dict(signs or {})
        self.radicands: set[int] = set()
        self.inverses: dict[int, int] = {}

    def residue(self, value: Scalar) -> int:
        """The residue of an integer, a fraction or a surd.

        Raises:
            NotASquare: a root does not exist modulo this prime.
        """
        if isinstance(value, int):
            return value % self.prime
        if isinstance(value, Fraction):
            top, bottom = value.numerator, value.denominator
            if bottom == 1:
                return top % self.prime
            if bottom not in self.inverses:
                self.inverses[bottom] = pow(bottom, -1, self.prime)
            return top * self.inverses[bottom] % self.prime
        if isinstance(value, Surd):
            total = 0
            for radicand, part in value.parts.items():
                root = 1
                for prime in primes_of(radicand):
                    root = root * self.root(prime) % self.prime
                total += self.residue(part) * root
            return total % self.prime
        raise OrderError(f"{value}: no residue of a symbolic quantity")

    def root(self, radicand: int) -> int:
        """A square root of a prime number."""
        self.radicands.add(radicand)
        found = pow(radicand, (self.prime + 1) // 4, self.prime)
        if found * found % self.prime != radicand % self.prime:
            raise NotASquare
        return found * self.signs.get(radicand, 1) % self.prime


class ModularSeries(Series):
    """A truncated Laurent series with residues for coefficients; scalars may be exact numbers.

    >>> h = ModularSeries(1, [1], 4, PrimeField(PRIMES[0]))
    >>> (2 / (1 - h)).terms
    [2, 2, 2, 2]
    """

    __slots__ = ("field",)

    terms: list[int]

    def __init__(self, low: int, terms: Sequence[Scalar], end: int, field: PrimeField) -> None:
        super().__init__(low, terms, end)
        self.field = field

    def like(self, low: int, terms: Sequence[Scalar], end: int) -> Self:
        """A series in the same field."""
        return type(self)(low, terms, end, self.field)

    def __add__(self, other: Scalar) -> Self:
        p = self.field.prime
        if not isinstance(other, ModularSeries):
            if not other:
                return self
            other = self.like(0, [self.field.residue(other)], max(self.end, 1))
        low, terms, end = integer_sum(self, other)
        return self.like(low, [value % p for value in terms], end)

    __radd__ = __add__

    def __neg__(self) -> Self:
        p = self.field.prime
        return self.like(self.low, [p - value if value else 0 for value in self.terms], self.end)

    @overload
    def __mul__(self, other: Self) -> Self: ...
    @overload
    def __mul__(self, other: Scalar) -> Scalar: ...
    def __mul__(self, other: Scalar) -> Scalar:
        p = self.field.prime
        if not isinstance(other, ModularSeries):
            if not other:
                return Fraction(0)
            factor = self.field.residue(other)
            return self.like(self.low, [value * factor % p for value in self.terms], self.end)
        low, terms, end = integer_product(self, other)
        return self.like(low, [value % p for value in terms], end)

    __rmul__ = __mul__

    def reciprocal(self) -> Self:
        """1 over the series."""
        if not self.terms:
            raise no_division()
        p, count = self.field.prime, self.end - self.low
        first = pow(self.terms[0], -1, p)
        terms = [first]
        for n in range(1, count):
            total = 0
            for k in range(1, min(n, len(self.terms) - 1) + 1):
                total += self.terms[k] * terms[n - k]
            terms.append(-total * first % p)
        return self.like(-self.low, terms, self.end - 2 * self.low)

    def inside(self, coefficients: Sequence[Fraction]) -> Self:
        """The value of a polynomial, lowest coefficient first, at a series without constant term."""
        total = self.like(0, [self.field.residue(coefficients[-1])], self.end)
        for value in reversed(coefficients[:-1]):
            total = (total * self).truncated(self.end) + value
        return total


def phi(k: int, z: Scalar) -> Scalar:
    """φ_k of a series without constant term."""
    refuse_constant(z, "phi")
    if not isinstance(z, ModularSeries):
        return Fraction(1, factorial(k))
    if len(z.terms) != 1:
        count = -(-z.end // max(z.low, 1)) + 1
        return z.inside([Fraction(1, factorial(k + m)) for m in range(count)])
    p, step = z.field.prime, z.terms[0]
    terms, power = [0] * z.end, 1
    inverse = pow(factorial(k + z.end), -1, p)
    inverses = [inverse]  # 1/(k+end)!, then upwards
    for m in range(k + z.end, k, -1):
        inverse = inverse * m % p
        inverses.append(inverse)
    for m in range(-(-z.end // z.low)):
        terms[m * z.low] = power * inverses[z.end - m] % p
        power = power * step % p
    return z.like(0, terms, z.end)


def exp(z: Scalar) -> Scalar:
    """exp of a series without constant term."""
    return phi(0, z)


def expm1(z: Scalar) -> Scalar:
    """exp(z) − 1."""
    return phi(0, z) - 1


def log1p(z: Scalar) -> Scalar:
    """log(1 + z) of a series without constant term."""
    refuse_constant(z, "log1p")
    if not isinstance(z, ModularSeries):
        return z
    count = -(-z.end // max(z.low, 1)) + 1
    return z.inside([Fraction(0), *(Fraction((-1) ** (m + 1), m) for m in range(1, count))])


def reconstructed(residues: list[tuple[int, int]]) -> Fraction | None:
    """The simplest fraction with given (residue, prime) pairs, or ``None`` without a clear one.

    >>> reconstructed([(-251 * pow(720, -1, p) % p, p) for p in PRIMES[:2]])
    Fraction(-251, 720)
    """
    value, modulus = 0, 1
    for residue, prime in residues:
        value += modulus * ((residue - value) * pow(modulus, -1, prime) % prime)
        modulus *= prime
    # Lattice reduction by Euclid's algorithm: stop at half the length, and demand some to spare.
    r0, r1, t0, t1 = modulus, value, 0, 1
    while r1 * r1 * 2 > modulus:
        quotient = r0 // r1
        r0, r1 = r1, r0 - quotient * r1
        t0, t1 = t1, t0 - quotient * t1
    if not t1 or abs(r1 * t1) > modulus >> 40:
        return None
    return Fraction(r1, t1)

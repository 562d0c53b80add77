"""Definite integrals and Riemann sums of power series, exactly, by interpolation.

The coefficient of each power of h in f(a + s (b − a)) is a polynomial in s whose degree is limited,
because b − a vanishes with h. So a rule with enough rational nodes is not an approximation: it gives the
series of the integral to its last known term.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import prod

import mpmath

from ..errors import OrderError
from .scalar import Scalar
from .series import Series

Function = Callable[[Scalar], Scalar]
GAUSS = (6, 7)  # levels of mpmath's rule, of 96 and 192 nodes
NOT_SMOOTH = (
    "an integrand that is not smooth between the ends of its integral, as h goes to 0, has no "
    "expansion; split it, or change its variable"
)


def vanishes(width: Scalar) -> bool:
    """Whether the width of an interval is a series that goes to zero with h."""
    return not width or (isinstance(width, Series) and width.low > 0)


def expanded(f: Function, low: Scalar, high: Scalar, count: int = 0) -> Scalar:
    """The series of ∫ f dx, or of its left sum of `count` parts.

    Args:
        f: maps a series to a series.
        low, high: ends, which meet as h goes to 0.

    Raises:
        OrderError: the ends stay apart, or f is not smooth between them.
    """
    width = high - low
    if not vanishes(width):
        raise OrderError("the ends of an integral must meet as h goes to 0")
    if not width or not isinstance(width, Series):
        return width
    known = max(getattr(value, "end", 0) for value in (width, f(low)))
    degree = known // width.low + 1
    rule = _rule(degree + 1, count)
    values = [f(low + node * width) for node, _, _ in rule]
    pairs = list(zip(values, rule, strict=True))
    if sum((value * difference for value, (_, _, difference) in pairs), Fraction(0)):
        raise OrderError(NOT_SMOOTH)
    return sum((value * weight for value, (_, weight, _) in pairs), Fraction(0)) * width


def settled(f: Function, low: Scalar, high: Scalar, bits: int) -> Scalar:
    """∫ f dx over a finite interval, by Gauss-Legendre rules that agree to the ring's precision.

    Raises:
        OrderError: they do not, because f is not smooth enough.
    """
    coarse, fine = (
        sum(
            (f(low + node * (high - low)) * weight for node, weight in _gauss(level, bits)),
            Fraction(0),
        )
        for level in GAUSS
    )
    if coarse - fine:
        raise OrderError(NOT_SMOOTH)
    return fine * (high - low)


@cache
def _rule(size: int, count: int) -> tuple[tuple[Fraction, Fraction, Fraction], ...]:
    """Nodes and weights on [0, 1], exact for polynomials of degree below `size`.

    Third come the weights of a divided difference, which vanishes on degrees below `size` − 1,
    brought to the size of 1.
    """
    nodes = [Fraction(2 * i + 1, 2 * size) for i in range(size)]
    moments = [_moment(degree, count) for degree in range(size)]
    differences = [1 / prod((a - b for b in nodes if b != a), start=Fraction(1)) for a in nodes]
    scale = sum(abs(difference) for difference in differences)
    rule = []
    for node, difference in zip(nodes, differences, strict=True):
        basis = [difference]
        for other in nodes:
            if other != node:
                shifted = [Fraction(0), *basis]
                basis = [a - other * b for a, b in zip(shifted, [*basis, Fraction(0)], strict=True)]
        total = sum((b * m for b, m in zip(basis, moments, strict=True)), Fraction(0))
        rule.append((node, total, difference / scale))
    return tuple(rule)


def _moment(degree: int, count: int) -> Fraction:
    """∫ s^degree ds over [0, 1], or its left sum."""
    if not count:
        return Fraction(1, degree + 1)
    return Fraction(sum(k**degree for k in range(count)), count ** (degree + 1))


@cache
def _gauss(level: int, bits: int) -> tuple[tuple[Fraction, Fraction], ...]:
    """The Gauss-Legendre rule on [0, 1], to this many bits."""
    with mpmath.workprec(bits):
        pairs = mpmath.calculus.quadrature.GaussLegendre(mpmath.mp).calc_nodes(level, bits)
        unit = 1 << bits

        def exact(value: Scalar) -> Fraction:
            return Fraction(int(mpmath.nint(mpmath.ldexp(value, bits))), unit)

        return tuple((exact((1 + x) / 2), exact(w / 2)) for x, w in pairs)

"""Grids as exact offsets: uniform, smooth, and with arbitrary step ratios.

A grid gives the position of site i (0 is the base point of the expansion, 1 the next grid point) in
units of a step, in the independent variable: λ, or the clock for velocity solvers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import factorial
from random import Random

from ...algebra.scalar import Scalar
from ...algebra.series import ONE
from ...algebra.traced import symbol

UNIFORM, SMOOTH, ARBITRARY = "uniform", "smooth", "arbitrary"
CLASSES = (UNIFORM, SMOOTH, ARBITRARY)


@dataclass(frozen=True)
class Grid:
    """Positions of grid points around the base point.

    Args:
        kind: uniform, smooth or arbitrary.
        position: site number to offset in units of the step; position(0) is 0.
        periodic: after how many sites all weights repeat (1 when uniform, 0 when never).
    """

    kind: str
    position: Callable[[int], Scalar]
    periodic: int = 0


def uniform() -> Grid:
    """All steps equal."""
    return Grid(UNIFORM, Fraction, 1)


def from_steps(size: Callable[[int], Scalar], kind: str = ARBITRARY, periodic: int = 0) -> Grid:
    """The grid whose step from site i to site i + 1 has the given size.

    >>> [str(from_steps(lambda i: Fraction(2) ** i).position(k)) for k in (-2, -1, 0, 1, 2)]
    ['-3/4', '-1/2', '0', '1', '3']
    """
    known: dict[int, Scalar] = {0: Fraction(0)}

    def position(site: int) -> Scalar:
        if site not in known:
            if site > 0:
                known[site] = position(site - 1) + size(site - 1)
            else:
                known[site] = position(site + 1) - size(site)
        return known[site]

    return Grid(kind, position, periodic)


def generic(seed: int, reference: int = 0) -> Grid:
    """Random rational steps: a point at which only identities hold.

    Args:
        seed: which point; equal seeds give equal grids.
        reference: the step that is 1.
    """
    return from_steps(lambda i: ONE if i == reference else generic_ratio(seed, i))


@cache
def generic_ratio(seed: int, index: int) -> Fraction:
    """A random rational between about 1/2 and 2, the same at every call."""
    random = Random(1_000_003 * seed + index)
    return Fraction(random.randrange(500_000, 2_000_000), 1_000_003)


def pattern(sizes: tuple[Fraction, ...], kind: str = ARBITRARY) -> Grid:
    """Step sizes that repeat."""
    return from_steps(lambda i: sizes[i % len(sizes)], kind, len(sizes))


def symbolic(spans: int = 1) -> Grid:
    """Past steps r1, r2, … times the current one; later grid points at g1, g2, … of it.

    Args:
        spans: how many intervals the current step covers.
    """
    past = from_steps(lambda i: ONE if i == 0 else symbol(f"r{-i}", _ratio_values(-i)))

    def position(site: int) -> Scalar:
        if site <= 0 or site == spans:
            return past.position(min(site, 1))
        return symbol(f"g{site}", _point_values(site))

    return Grid(ARBITRARY, position)


def _ratio_values(k: int) -> tuple[Fraction, ...]:
    return (generic_ratio(11, k), generic_ratio(23, k))


def _point_values(k: int) -> tuple[Fraction, ...]:
    return (generic_ratio(17, k), generic_ratio(29, k))


def smooth(jet: Callable[[int], Scalar], unit: Scalar, end: int) -> Grid:
    """Sites of a smooth grid λ_i = Λ(iδ), in units of Λ'δ.

    Args:
        jet: j to Λ^(j)/Λ'^j at the base point (jet(2) is η of the literature).
        unit: Λ'δ as a series.
        end: the power of the series' variable up to which positions are expanded.
    """
    known: dict[int, Scalar] = {}

    def position(site: int) -> Scalar:
        if site not in known:
            total: Scalar = Fraction(site)
            power: Scalar = ONE
            for j in range(2, end + 1):
                power = power * unit
                if not power:
                    break
                total = total + power * (jet(j) * Fraction(site**j, factorial(j)))
            known[site] = total
        return known[site]

    return Grid(SMOOTH, position)


def generic_jet(j: int) -> Fraction:
    """Generic derivatives of a grid map."""
    return generic_ratio(31, j) - (j % 2)


def symbolic_jet(j: int) -> Scalar:
    """Derivatives of a grid map as symbols: eta = Λ''/Λ'², then eta_3, eta_4, …"""
    name = "eta" if j == 2 else f"eta_{j}"
    return symbol(name, (generic_ratio(37, j), generic_ratio(41, j) - 1))

"""The classes of grids on which a stochastic solver is analysed: equal, smooth and repeated steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ...algebra.fixed import FixedSeries, RealRing
from ...algebra.scalar import Scalar
from ..expansion.grid import SMOOTH, Grid, pattern
from .gaussian import Target, generic

# dλ per step of a generic smooth grid, in units of h, as a polynomial in λ: the lowest power first.
DENSITY = [Fraction(1), *(generic(113, i) - 1 for i in (1, 2, 3))]


def density(position: FixedSeries, ring: RealRing) -> FixedSeries:
    """dλ per step of the smooth grid at a position, in units of h."""
    total = ring.constant(0)
    for value in reversed(DENSITY):
        total = total * position + value
    return total


def generic_sizes(period: int) -> list[Fraction]:
    """Generic step sizes that repeat, 1 on average."""
    sizes = [generic(127, i) for i in range(period)]
    return [size * period / sum(sizes) for size in sizes]


@dataclass
class GridClass:
    """A class of grids, and the solution that the solver tends to there.

    Args:
        sizes: a period of steps.
        limit: τ² as a Taylor series, ``None`` without a limit.
    """

    kind: str
    sizes: list[Fraction]
    limit: FixedSeries | None = field(default=None)

    @property
    def period(self) -> int:
        return len(self.sizes)

    def points(self, ring: RealRing) -> Grid:
        """Positions of the grid points over a series in h."""
        return smooth(ring) if self.kind == SMOOTH else pattern(tuple(self.sizes), self.kind)


def smooth(ring: RealRing) -> Grid:
    """Points of a generic smooth grid: dλ/dt = density(λ), one point per h in t."""
    line = RealRing(ring.end // ring.power + 3, 1)
    curve = line.x
    for _ in range(line.end):
        curve = Target.integrated(density(curve, line)).truncated(line.end)
    made: dict[int, Scalar] = {}

    def position(site: int) -> Scalar:
        if site not in made:
            at = ring.composed(curve, site * ring.h) if site else None
            made[site] = Fraction(0) if at is None else at / ring.h
        return made[site]

    return Grid(SMOOTH, position)

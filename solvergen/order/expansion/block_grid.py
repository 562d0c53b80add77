"""Grids for steps that span several intervals: blocks as sites, and the points inside a block.

The expansions know sites, from each of which one step leads to the next. Where a step spans several
intervals of the grid, its two ends are such sites and the grid points between (or, for a step that
looks ahead, beyond) are given as fractions γ_k of the step. Units are scaled so that the first step has
about the size h.
"""

from __future__ import annotations

from collections.abc import Callable

from ...algebra.scalar import Scalar
from ...program.model import Program
from .grid import ARBITRARY, SMOOTH, Grid

Inner = Callable[[int, int], Scalar]


def in_blocks(program: Program, fine: Grid, spans: tuple[int, ...] = ()) -> tuple[Grid, Inner]:
    """The grid of a program's steps, and the place of point k inside or beyond the step from a site.

    Args:
        program: the solver.
        fine: positions of the grid points.
        spans: of the steps from site 0 on; those of the main step unless given.
    """
    main = program.main.spans

    def point(site: int) -> int:
        """The grid point at which a step begins."""
        known = spans[: max(site, 0)]
        return sum(known) + main * (site - len(known))

    def inner(site: int, k: int) -> Scalar:
        start, end = fine.position(point(site)), fine.position(point(site + 1))
        return (fine.position(point(site) + k) - start) / (end - start)

    if main == 1 and not spans:
        return fine, inner
    unit = main if fine.kind == SMOOTH else fine.position(main)
    periodic = 0 if fine.kind == ARBITRARY else fine.periodic
    return Grid(fine.kind, lambda site: fine.position(point(site)) / unit, periodic), inner

"""A program at the points where its orders are decided: grids of a class, values, and what stays free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from ...algebra.ring import SeriesRing
from ...algebra.scalar import Scalar
from ...algebra.traced import symbol
from ...errors import OrderError
from ...program.model import Program
from ..expansion import grid as grids
from ..expansion.grid import ARBITRARY, SMOOTH, UNIFORM, Grid
from ..expansion.local_error import Case, defaults
from ..expansion.symbol_values import Jet, Value, generic_coordinate, symbolic_coordinate
from .run_places import COUNTS, counted, counts
from .switches import bounded, logarithmic, switched


class Cases:
    """One program with one choice of parameters, on grids of every class.

    Args:
        program: the solver.
        parameters: values that replace the defaults.
        symbolic: parameters that stay symbols.

    Raises:
        OrderError: an unknown parameter, or weights that have no series.
    """

    def __init__(
        self, program: Program, parameters: Mapping[str, Fraction], symbolic: tuple[str, ...]
    ) -> None:
        known = defaults(program)
        for name in (*parameters, *symbolic):
            if name not in known:
                raise OrderError(
                    f"{program.name} has no parameter `{name}`; it has {', '.join(known) or 'none'}"
                )
        free = [name for name in program.varying if name not in parameters]
        self.program, self.symbolic = program, (*symbolic, *free)
        self.values: dict[str, Scalar] = {**known, **parameters}
        self.free = frozenset(free)
        self.spans = program.main.spans
        if "remaining" in program.free_symbols():
            # `remaining` is an independent O(1) quantity
            self.symbolic = (*self.symbolic, "remaining")
            self.values["remaining"] = Fraction(1)
        self.symbolic = (*self.symbolic, *bounded(program))
        self.values |= dict.fromkeys(bounded(program), Fraction(1))
        if not {"sigma", "sigma_next"}.isdisjoint(program.free_symbols()):
            if not program.kappa:
                raise OrderError(
                    f"{program.name}: no order is derived for velocity solvers whose weights use `sigma`"
                )
            self.symbolic = (*self.symbolic, "sigma")  # σ/α at the base point, any level
            self.values["sigma"] = Fraction(1)
        if switched(program):
            raise OrderError(
                f"{program.name}: its weights switch along the run (between or min), so that a step has no "
                "one series; its order is derived for each way in which they are decided"
            )
        if logarithmic(program):
            raise OrderError(
                f"{program.name}: no order is derived for weights with log, which has no rational values; log1p "
                "of what vanishes with h has a series"
            )
        self.counts = counts(program)
        if self.counts:
            self.symbolic = (*self.symbolic, *COUNTS)
        self.jets = len(program.coordinates)

    def generic(self, kind: str, seed: int = 1) -> Case:
        """The program on a grid of a class at a generic rational point."""
        made: dict[str, Callable[[SeriesRing], Grid]] = {
            UNIFORM: lambda ring: grids.uniform(),
            ARBITRARY: lambda ring: grids.generic(seed),
            SMOOTH: lambda ring: grids.smooth(grids.generic_jet, ring.x / self.spans, ring.end),
        }
        points: dict[str, Value] = {
            name: self.point(i, seed) if name in self.free else grids.generic_ratio(61 + seed, i)
            for i, name in enumerate(self.symbolic)
        }
        return Case(self.program, made[kind], self.known(points))

    def known(self, points: Mapping[str, Value]) -> Callable[[SeriesRing], Mapping[str, Value]]:
        """The value of every parameter, from the ring; those of `steps` and `i` times h are points."""

        def of(ring: SeriesRing) -> Mapping[str, Value]:
            if not self.counts:
                return {**self.values, **points}
            length, gone = (points[name] for name in COUNTS)
            assert not callable(length) and not callable(gone)
            return {**self.values, **points, **counted(ring, length, gone)}

        return of

    @staticmethod
    def point(index: int, seed: int) -> Callable[[int], Fraction]:
        """Generic values of a parameter that differs from step to step, of both signs."""
        return lambda site: grids.generic_ratio(79 + seed, 97 * index + site) - Fraction(4, 3)

    def symbols(self, kind: str) -> Case:
        """The program on a grid of a class with symbols for everything that is free."""
        made: dict[str, Callable[[SeriesRing], Grid]] = {
            UNIFORM: lambda ring: grids.uniform(),
            ARBITRARY: lambda ring: grids.symbolic(self.spans),
            SMOOTH: lambda ring: grids.smooth(grids.symbolic_jet, ring.x / self.spans, ring.end),
        }
        points: dict[str, Value] = {
            name: symbol(self.shown(name), (grids.generic_ratio(67, i), grids.generic_ratio(71, i)))
            for i, name in enumerate(self.symbolic)
        }
        jets: Jet = symbolic_coordinate if self.jets else generic_coordinate
        return Case(self.program, made[kind], self.known(points), jets)

    def shown(self, name: str) -> str:
        """A parameter's name in constants: apart from step ratios r1, … and jets y2, …, eta."""
        if name in COUNTS:
            return {"steps": "Nh", "i": "ih"}[name]
        taken = name.rstrip("0123456789") in ("r", "y", "eta", "eta_")
        return f"{name}_" if taken and (self.program.main.history or self.jets) else name

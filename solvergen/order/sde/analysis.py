"""The computation behind a stochastic report: one class of grids after the other (see `stochastic`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise

from ...algebra.fixed import UNIT, FixedSeries, RealRing
from ...algebra.scalar import Scalar
from ...program.model import Program
from ...program.step import Step
from ..expansion.grid import ARBITRARY, CLASSES, UNIFORM, Grid
from ..ode.ends import last_steps, shrink_exponent, start_step
from ..ode.report import MODES
from ..verdict import Rate
from .gaussian import LEVEL, Target, generic
from .gaussian_runs import Walk
from .grids import GridClass, generic_sizes
from .leading_constants import polynomial
from .moment_errors import Added, PathErrors, capped, exponent, least, mean_errors, variance_error
from .strength import lingers, raising, strength

ON_PATH = "path_covariance"
LIMITS = (3, 6, 9)  # powers of h to which errors are expanded, one after the other
FINITE, ONE = Fraction(3, 10), Fraction(1)
FAR, GONE = 40, UNIT >> 40  # steps until influences that linger have gone, and how far they have
NO_LIMIT = (
    "steps do not become the identity with noise of variance O(h) as they shrink, so that no "
    "reverse SDE is solved; only the covariance has an order"
)


class NoiseAnalysis:
    """One program with one choice of parameters.

    Args:
        program: a solver with noise.
        values: value of every parameter. When no noise is left at these values, parameters of the noise
            that are 0, and are not `given`, get generic values.
        given: names of parameters that keep their values.
    """

    def __init__(self, program: Program, values: dict[str, Fraction], given: set[str]) -> None:
        self.program, self.values = program, values
        main = program.main
        self.depth = main.history
        self.overlaps = any(_overlapping(step) for step in program.steps)
        self.walks: dict[tuple[str, int, bool], Walk] = {}
        self.finite: dict[str, Walk] = {}
        # Steps until everything that a step leaves behind has been used, or has died out.
        self.flush = self.depth + (4 if main.corrector else 2)
        self.tiny, self.spread = 0, generic(101)
        if lingers(program, values):
            self.flush, self.tiny, self.spread = FAR, GONE, self.spread / 4
        # Numbers of steps are free: what vanishes at a point in general position vanishes everywhere. All steps
        # have the same ones, which decides a rule without history: the error of a step depends on its own alone.
        free = {name: generic(137, i) for i, name in enumerate(program.varying)}
        self.values = {**values, **{k: v for k, v in free.items() if k not in given}}
        silent = strength(program, self.values, UNIFORM, [Fraction(1)], 1)
        if silent is not None and not silent.terms:
            extra = raising(program)
            self.values |= {k: v for k, v in extra.items() if k not in given}

    def decide(self) -> tuple[dict[str, dict[str, dict[str, Rate | None]]], str]:
        """All orders, and why some have no meaning."""
        orders, reason = {}, ""
        for kind in CLASSES:
            sizes = generic_sizes(self.depth + 2) if kind == ARBITRARY else [ONE]
            grids = GridClass(kind, sizes)
            grids.limit = strength(self.program, self.values, kind, sizes, LIMITS[-1] + 4)
            if grids.limit is None:
                orders[kind], reason = self.without_limit(grids), NO_LIMIT
            else:
                orders[kind] = self.rows(grids)
        if self.program.varying:  # special numbers may do better than generic ones
            orders = {
                kind: {mode: _lower_bounds(row) for mode, row in modes.items()}
                for kind, modes in orders.items()
            }
        return orders, reason

    # -- settings ------------------------------------------------------------------------------

    def walk(self, grids: GridClass, limit: int, shrunk: bool = False) -> Walk:
        """The program on a grid of a class, expanded up to h^limit."""
        key = (grids.kind, limit, shrunk and shrink_exponent(self.program) != 1)
        if key not in self.walks:
            self.walks[key] = self.made(grids, self.ring(limit), shrunk)
        return self.walks[key]

    def made(self, grids: GridClass, ring: RealRing, shrunk: bool = False) -> Walk:
        """The program on a grid of a class over some series."""
        limit = grids.limit if grids.limit is not None else FixedSeries(0, [], 2)
        grid = self.grid(grids, ring, shrunk)
        return Walk(self.program, ring, grid, Target(ring, limit, self.spread), self.values)

    def grid(self, grids: GridClass, ring: RealRing, shrunk: bool) -> Grid:
        """Positions of its points, those of a shortened first step included."""
        plain = grids.points(ring)
        exponent_ = shrink_exponent(self.program)
        if not shrunk or exponent_ == 1:
            return plain
        first = ring.x ** int((exponent_ - 1) * ring.power)
        return Grid(grids.kind, lambda i: first if i == 1 else plain.position(i))

    def ring(self, limit: int) -> RealRing:
        """Series up to h^(limit + 1), with some terms to lose."""
        power = 2 * shrink_exponent(self.program).denominator
        return RealRing(power * (limit + 3) + 2, power)

    # -- rates ---------------------------------------------------------------------------------

    def rows(self, grids: GridClass) -> dict[str, dict[str, Rate | None]]:
        """Rates for each mode on a class of grids."""
        mean = self.searched(grids, means)
        covariance = self.searched(grids, variances)
        exact: dict[str, Rate | None] = {"mean": mean, "covariance": covariance}
        exact["strong"] = self.strong(grids, mean)
        if self.overlaps:
            exact[ON_PATH] = self.searched(grids, path_variances)
        start = self.ended(grids, exact, self.program.start, own_start=True)
        end = start
        last = last_steps(self.program)
        if last:
            end = self.ended(grids, start, last, own_start=False)
        return dict(zip(MODES, (exact, start, end), strict=True))

    def searched(self, grids: GridClass, errors: Callable[[Walk, int, int], list[Scalar]]) -> Rate:
        """The rate of a quantity, expanded further and further, or that it has no error."""
        rate = Rate(Fraction(0), False)
        for limit in LIMITS:
            rate, seen = self.added(grids, self.walk(grids, limit), errors).rate()
            if seen:
                return rate
            if limit == LIMITS[0] and errors is not path_variances and self.vanishes(grids, errors):
                return Rate(None)
        return rate

    def added(
        self, grids: GridClass, walk: Walk, errors: Callable[[Walk, int, int], list[Scalar]]
    ) -> Added:
        """What the main steps of a period add to an error."""
        period = grids.period
        site = period + self.flush
        made = [errors(walk, first, site) for first in range(period + 1)]
        singles = [
            a - b for left, right in pairwise(made) for a, b in zip(left, right, strict=True)
        ]
        total = [a - b for a, b in zip(made[0], made[-1], strict=True)]
        return Added(singles, total, made[0], walk.ring.power, self.tiny)

    def vanishes(self, grids: GridClass, errors: Callable[[Walk, int, int], list[Scalar]]) -> bool:
        """Whether an error is zero at finite steps too."""
        steady = grids.limit is not None and len(grids.limit.terms) <= 1
        if not steady or any(step.coordinates for step in self.program.steps):
            return False
        finite = GridClass(ARBITRARY, generic_sizes(self.depth + 2), grids.limit)
        walk = self.finite.setdefault(grids.kind, self.made(finite, RealRing(1, 0, FINITE)))
        found = errors(walk, 0, self.flush)
        return not any(found)

    def strong(self, grids: GridClass, mean: Rate) -> Rate:
        """The rate along a Brownian path."""
        walk = self.walk(grids, LIMITS[0])
        power, site = walk.ring.power, grids.period + self.flush
        steps = [self.program.main] * site
        path = PathErrors(walk, steps)
        form = walk.main(0, site)
        parts = [path.along(form, site, part) for part in range(grids.period)]
        found = exponent(parts, power, self.tiny)
        rates = [mean]
        if found is not None:
            rates.append(Rate((found - 1) / 2))
        return capped(least(rates), [path.whole(form, site)], power, 2, self.tiny)

    def growth(self, quantity: str, value: Fraction) -> tuple[Fraction, ...] | None:
        """The leading effective local error per step, relative to the mean or to v."""
        plain = GridClass(UNIFORM, [Fraction(1)])
        plain.limit = strength(self.program, self.values, UNIFORM, plain.sizes, 2)
        steady = plain.limit is not None and len(plain.limit.terms) <= 1
        if not steady or self.tiny or value.denominator != 1:
            return None
        limit = int(value)

        def local(gain: Fraction) -> int:
            self.spread = LEVEL**2 * gain / (1 - gain)
            walk = self.made(plain, self.ring(limit))
            errors = {"mean": means, "covariance": variances}[quantity]
            [single, *_] = self.added(plain, walk, errors).singles
            scale = 1 / walk.target.variance(Fraction(0)) if quantity == "covariance" else ONE
            return walk.ring.lifted(single * scale).coefficient(walk.ring.power * (limit + 1))

        return polynomial(local) or None

    # -- first and last steps ------------------------------------------------------------------

    def ended(
        self,
        grids: GridClass,
        before: Mapping[str, Rate | None],
        steps: tuple[Step, ...],
        own_start: bool,
    ) -> dict[str, Rate | None]:
        """Rates after the first or the last steps have been counted."""
        walk = self.walk(grids, self.needed(before), shrunk=own_start)
        run = self.kinds(steps, own_start)
        depth = 0 if own_start else self.depth
        form = walk.run(run, 0, depth, bare=not own_start)
        site, power = len(run), walk.ring.power
        mean, variance = mean_errors(walk, form, site), variance_error(walk, form, site)
        path = PathErrors(walk, run)
        strong = capped(self.rate(before, "strong"), mean, power, 1, self.tiny)
        after: dict[str, Rate | None] = {
            "mean": capped(self.rate(before, "mean"), mean, power, 1, self.tiny),
            "covariance": capped(self.rate(before, "covariance"), [variance], power, 1, self.tiny),
            "strong": capped(strong, [path.whole(form, site)], power, 2, self.tiny),
        }
        if self.overlaps:
            along = variance + path.shared(form)
            after[ON_PATH] = capped(self.rate(before, ON_PATH), [along], power, 1, self.tiny)
        return after

    def kinds(self, steps: tuple[Step, ...], own_start: bool) -> list[Step]:
        """The run that shows what the first or the last steps leave."""
        main = [self.program.main] * self.flush
        if not own_start:
            return [*main, *steps]
        return [start_step(self.program, i) for i in range(len(steps))] + main

    @staticmethod
    def rate(rates: Mapping[str, Rate | None], name: str) -> Rate:
        """A rate that is known to have a meaning."""
        found = rates[name]
        assert found is not None
        return found

    @staticmethod
    def needed(rates: Mapping[str, Rate | None]) -> int:
        """How far an expansion must go to lower any of some rates."""
        values = [rate.value for rate in rates.values() if rate is not None and rate.value]
        return max(LIMITS[0], int(max(values, default=Fraction(0))))

    def without_limit(self, grids: GridClass) -> dict[str, dict[str, Rate | None]]:
        """Rates of a solver that solves no reverse SDE: its errors do not add up, they stay."""
        walk = self.walk(grids, LIMITS[0])
        site = self.flush
        errors = [variances(walk, 0, n)[0] for n in range(1, site + 1)]
        found = exponent(errors, walk.ring.power)
        rate = Rate(None) if found is None else Rate(found)
        row: dict[str, Rate | None] = {"mean": None, "covariance": rate, "strong": None}
        return dict.fromkeys(MODES, row)


def _lower_bounds(row: Mapping[str, Rate | None]) -> dict[str, Rate | None]:
    """Rates as what holds at least."""
    return {
        name: Rate(rate.value, exact=False) if rate and rate.value is not None else rate
        for name, rate in row.items()
    }


def means(walk: Walk, first: int, site: int) -> list[Scalar]:
    """Errors of the mean after main steps."""
    return mean_errors(walk, walk.main(first, site), site)


def variances(walk: Walk, first: int, site: int) -> list[Scalar]:
    """Errors of the variance after main steps."""
    return [variance_error(walk, walk.main(first, site), site)]


def path_variances(walk: Walk, first: int, site: int) -> list[Scalar]:
    """The same when draws of overlapping parts of a step come from one Brownian path."""
    path = PathErrors(walk, [walk.program.main] * (site - first), first)
    form = walk.main(first, site)
    return [variance_error(walk, form, site) + path.shared(form)]


def _overlapping(step: Step) -> bool:
    """Whether two draws of a step belong to parts of it that may overlap."""
    inner = [draw for draw in step.draws if draw.start != draw.end]
    return any(a.start == b.start for i, a in enumerate(inner) for b in inner[i + 1 :])

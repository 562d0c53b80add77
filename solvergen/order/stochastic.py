"""The orders of a stochastic solver, derived without a random number.

On a Gaussian target a solver with noise is a linear recursion, and its errors are power series in
√h with coefficients that depend on the target, the grid and the strength alone (see `gaussian`,
`forms` and `moments`). Three orders are stated for each class of grids in λ:

    mean         E u from a start off the marginal, against the reverse SDE of the solver's strength
    covariance   Var u from a start in the marginal: how well the marginal law is kept. From any other
                 Gaussian start Var u errs by E² too, so that its order is the lesser of the two
    strong       the mean square distance to that SDE's solution along one Brownian path

The reverse SDE's own strength is the limit τ² = lim Var/(2hσ̃²) of the solver's draws.

What is rigorous: a rate is derived from the exact recursion, by the rule in `moments`; that a
coefficient is not zero is certain up to rounding sixty digits below it. What is generic: a
coefficient that vanishes to 38 digits at random points of target, level and grid is zero; "exact"
is decided likewise, at finite steps. Orders on Gaussian targets bound those on others from above.
White noise limits rules over past evaluations to covariance order 2, whatever their degree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

from ..errors import OrderError
from ..program.model import Program, Step
from .analyse import analyse
from .ends import last_steps, shrink_exponent, start_step
from .fixed import UNIT, FixedSeries, RealRing
from .forms import Walk
from .gaussian import Target, generic
from .grid import ARBITRARY, CLASSES, SMOOTH, UNIFORM, Grid, from_steps
from .local import defaults
from .moments import (
    Added,
    PathErrors,
    capped,
    exponent,
    least,
    mean_errors,
    variance_error,
)
from .report import MODES, OrderReport
from .strength import density, lingers, pattern, raising, silenced, strength
from .verdict import Rate

QUANTITIES = ("mean", "covariance", "strong")
ON_PATH = "path_covariance"
LIMITS = (3, 6, 9)  # powers of h to which errors are expanded, one after the other
FINITE = Fraction(3, 10)
FAR, GONE = 40, UNIT >> 40  # steps until influences that linger have gone, and how far they have
NO_LIMIT = (
    "steps do not become the identity with noise of variance O(h) as they shrink, so that no "
    "reverse SDE is solved; only the covariance has an order"
)


@dataclass(frozen=True)
class StochasticReport:
    """What is true about the accuracy of a solver with noise.

    Args:
        program: the solver.
        orders: grid class to mode to quantity to rate; modes as in `OrderReport`, quantities are
            ``mean``, ``covariance`` and ``strong``; ``None`` where a quantity has no meaning. Where
            two draws of a step belong to parts of it that overlap, ``covariance`` holds for draws
            that are independent, and ``path_covariance`` for draws from one Brownian path.
        parameters: values of the parameters at which the orders were derived; those of the noise that are
            0 unless given have generic values.
        reason: why a quantity has no meaning, or "".
    """

    program: Program
    orders: Mapping[str, Mapping[str, Mapping[str, Rate | None]]]
    parameters: Mapping[str, Fraction]
    reason: str = ""

    @cached_property
    def deterministic(self) -> OrderReport | None:
        """What the solver promises where a parameter makes its strength zero, if one does."""
        quiet = silenced(self.program)
        return analyse(quiet) if quiet is not None else None

    def json(self, mode: str = "own_end") -> dict[str, dict[str, Any]]:
        """``{"uniform": {"mean": [2, True], "covariance": "exact", "strong": None}, …}``.

        Args:
            mode: ``exact_start``, ``own_start`` or ``own_end``.
        """
        return {
            kind: {name: rate and rate.json() for name, rate in modes[mode].items()}
            for kind, modes in self.orders.items()
        }

    def __str__(self) -> str:
        row, uniform = self.orders[ARBITRARY]["own_end"], self.orders[UNIFORM]["own_end"]
        shown = ", ".join(f"{name} {row[name] or 'without meaning'}" for name in QUANTITIES)
        if ON_PATH in row and row[ON_PATH] != row["covariance"]:
            shown += f" (covariance {row[ON_PATH]} when the draws come from one Brownian path)"
        if uniform != row:
            better = (f"{n} {uniform[n]}" for n in QUANTITIES if uniform[n] != row[n])
            shown += f" (uniform grid: {', '.join(better)})"
        return f"orders, proved on Gaussian targets: {shown}"


def stochastic_report(
    program: Program, parameters: Mapping[str, Fraction] | None = None
) -> StochasticReport:
    """Derive mean, covariance and strong order of a solver with noise.

    Args:
        program: the solver.
        parameters: values that replace the defaults.

    Raises:
        OrderError: a solver without noise, or weights that cannot be expanded.
    """
    if not program.stochastic:
        raise OrderError(f"{program.name} draws no noise; ask for its order with `analyse`")
    known = defaults(program)
    for name in parameters or {}:
        if name not in known:
            raise OrderError(
                f"{program.name} has no parameter `{name}`; it has {', '.join(known) or 'none'}"
            )
    return _Analysis(program, {**known, **(parameters or {})}, set(parameters or {})).report()


@dataclass
class _Class:
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


class _Analysis:
    def __init__(self, program: Program, values: dict[str, Any], given: set[str]) -> None:
        self.program, self.values = program, values
        main = program.main
        self.depth = main.history
        self.overlaps = any(_overlapping(step) for step in program.steps)
        self.walks: dict[Any, Walk] = {}
        self.finite: dict[str, Walk] = {}
        # Steps until everything that a step leaves behind has been used, or has died out.
        self.flush = self.depth + (4 if main.corrector else 2)
        self.tiny, self.spread = 0, generic(101)
        if lingers(program, values):
            self.flush, self.tiny, self.spread = FAR, GONE, self.spread / 4
        silent = strength(program, values, UNIFORM, [Fraction(1)], 1)
        if silent is not None and not silent.terms:
            extra = raising(program)
            self.values = {**values, **{k: v for k, v in extra.items() if k not in given}}

    def report(self) -> StochasticReport:
        """Decide all orders."""
        orders, reason = {}, ""
        for kind in CLASSES:
            sizes = pattern(self.depth + 2) if kind == ARBITRARY else [Fraction(1)]
            grids = _Class(kind, sizes)
            grids.limit = strength(self.program, self.values, kind, sizes, LIMITS[-1] + 4)
            if grids.limit is None:
                orders[kind], reason = self.without_limit(grids), NO_LIMIT
            else:
                orders[kind] = self.rows(grids)
        return StochasticReport(self.program, orders, self.values, reason)

    # -- settings ------------------------------------------------------------------------------

    def walk(self, grids: _Class, limit: int, shrunk: bool = False) -> Walk:
        """The program on a grid of a class, expanded up to h^limit."""
        key = (grids.kind, limit, shrunk and shrink_exponent(self.program) != 1)
        if key not in self.walks:
            self.walks[key] = self.made(grids, self.ring(limit), shrunk)
        return self.walks[key]

    def made(self, grids: _Class, ring: RealRing, shrunk: bool = False) -> Walk:
        """The program on a grid of a class over some series."""
        limit = grids.limit if grids.limit is not None else FixedSeries(0, [], 2)
        grid = self.grid(grids, ring, shrunk)
        return Walk(self.program, ring, grid, Target(ring, limit, self.spread), self.values)

    def grid(self, grids: _Class, ring: RealRing, shrunk: bool) -> Grid:
        """Positions of its points, those of a shortened first step included."""
        plain = _smooth(ring) if grids.kind == SMOOTH else self._pattern(grids)
        exponent_ = shrink_exponent(self.program)
        if not shrunk or exponent_ == 1:
            return plain
        first = ring.x ** int((exponent_ - 1) * ring.power)
        return Grid(grids.kind, lambda i: first if i == 1 else plain.position(i))

    def _pattern(self, grids: _Class) -> Grid:
        sizes = grids.sizes
        made = from_steps(lambda i: sizes[i % len(sizes)], grids.kind, len(sizes))
        return made

    def ring(self, limit: int) -> RealRing:
        """Series up to h^(limit + 1), with some terms to lose."""
        power = 2 * shrink_exponent(self.program).denominator
        return RealRing(power * (limit + 3) + 2, power)

    # -- rates ---------------------------------------------------------------------------------

    def rows(self, grids: _Class) -> dict[str, dict[str, Rate | None]]:
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

    def searched(self, grids: _Class, errors: Callable[[Walk, int, int], list[Any]]) -> Rate:
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
        self, grids: _Class, walk: Walk, errors: Callable[[Walk, int, int], list[Any]]
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

    def vanishes(self, grids: _Class, errors: Callable[[Walk, int, int], list[Any]]) -> bool:
        """Whether an error is zero at finite steps too."""
        steady = grids.limit is not None and len(grids.limit.terms) <= 1
        if not steady or any(step.coordinate is not None for step in self.program.steps):
            return False
        finite = _Class(ARBITRARY, pattern(self.depth + 2), grids.limit)
        walk = self.finite.setdefault(grids.kind, self.made(finite, RealRing(1, 0, FINITE)))
        found = errors(walk, 0, self.flush)
        return not any(found)

    def strong(self, grids: _Class, mean: Rate) -> Rate:
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

    # -- first and last steps ------------------------------------------------------------------

    def ended(
        self,
        grids: _Class,
        before: Mapping[str, Rate | None],
        steps: tuple[Step, ...],
        own_start: bool,
    ) -> dict[str, Rate | None]:
        """Rates after the first or the last steps have been counted."""
        walk = self.walk(grids, self.needed(before), shrunk=own_start)
        run = self.kinds(steps, own_start)
        depth = 0 if own_start else self.depth
        form = walk.run(run, 0, depth, bare=not own_start)[-1]
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

    def without_limit(self, grids: _Class) -> dict[str, dict[str, Rate | None]]:
        """Rates of a solver that solves no reverse SDE: its errors do not add up, they stay."""
        walk = self.walk(grids, LIMITS[0])
        site = self.flush
        errors = [variances(walk, 0, n)[0] for n in range(1, site + 1)]
        found = exponent(errors, walk.ring.power)
        rate = Rate(None) if found is None else Rate(found)
        row: dict[str, Rate | None] = {"mean": None, "covariance": rate, "strong": None}
        return dict.fromkeys(MODES, row)


def means(walk: Walk, first: int, site: int) -> list[Any]:
    """Errors of the mean after main steps."""
    return mean_errors(walk, walk.main(first, site), site)


def variances(walk: Walk, first: int, site: int) -> list[Any]:
    """Errors of the variance after main steps."""
    return [variance_error(walk, walk.main(first, site), site)]


def path_variances(walk: Walk, first: int, site: int) -> list[Any]:
    """The same when draws of overlapping parts of a step come from one Brownian path."""
    path = PathErrors(walk, [walk.program.main] * (site - first), first)
    form = walk.main(first, site)
    return [variance_error(walk, form, site) + path.shared(form)]


def _overlapping(step: Step) -> bool:
    """Whether two draws of a step belong to parts of it that may overlap."""
    inner = [draw for draw in step.draws if draw.start != draw.end]
    return any(a.start == b.start for i, a in enumerate(inner) for b in inner[i + 1 :])


def _smooth(ring: RealRing) -> Grid:
    """Points of a generic smooth grid: dλ/dt = density(λ), one point per h in t."""
    line = RealRing(ring.end // ring.power + 3, 1)
    curve: Any = line.x
    for _ in range(line.end):
        slope: Any = line.constant(0)
        for value in reversed(density()):
            slope = slope * curve + value
        curve = Target._integral(slope).truncated(line.end)
    made: dict[int, Any] = {}

    def position(site: int) -> Any:
        if site not in made:
            at = ring.composed(curve, site * ring.h) if site else None
            made[site] = Fraction(0) if at is None else at / ring.h
        return made[site]

    return Grid(SMOOTH, position)

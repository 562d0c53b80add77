"""Effective local errors of a program: of its main step, and of its first and last steps.

The effective local error of a step is what it adds to the error of an accepted value when all
accepted values before it are exact. In PEC the evaluations are made at predicted values, so the
predictors' own local errors stay in it: for a corrector with weights b_j it is
τ_C + h Σ_j b_j J δ_{n−j} + … with δ the predictors' errors at the evaluation sites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from ...algebra.modular import PRIMES, NotASquare, PrimeField
from ...algebra.ring import PrecisionError, SeriesRing
from ...algebra.scalar import Scalar
from ...algebra.series import Series
from ...errors import OrderError
from ...program.model import Program
from ...program.step import Step, stages_before
from .block_grid import in_blocks
from .grid import Grid
from .recursion import Recursion, Words
from .symbol_values import Jet, StepValues, Value, generic_coordinate
from .words import Word, weight

LARGEST = 12  # heaviest words ever expanded
# How many steps a memory of combinations is followed back; what is remembered before them is taken as it
# was evaluated. An error that no factors leave from one step to the next is left by no number of them.
FOLLOWED = 4


@dataclass(frozen=True)
class Case:
    """A program on a grid: everything an expansion depends on but its length.

    Args:
        program: the solver.
        grid: from a ring, the grid.
        parameters: value of every parameter; a callable gets the ring.
        coordinate: derivatives of the further coordinates.
        power: h = x^power in the expansion variable x.
        margin: see `SeriesRing`.
        field: expand modulo a prime, see `deciding`; coefficients are then residues.
        spans: of the steps from site 0 on, where they are not all the main one.
    """

    program: Program
    grid: Callable[[SeriesRing], Grid]
    parameters: Callable[[SeriesRing], Mapping[str, Value]]
    coordinate: Jet = generic_coordinate
    power: int = 1
    margin: int = 0
    field: PrimeField | None = None
    spans: tuple[int, ...] = ()

    def deciding(self) -> Case:
        """The same case modulo a prime: what is non-zero there is non-zero."""
        return replace(self, field=PrimeField(PRIMES[0]))

    def expand(self, limit: int, run: Callable[[Recursion], Words]) -> Words:
        """Run an expansion with as many terms, and modulo such a prime, as it turns out to need."""
        if self.field is None:
            return self.expand_over(None, limit, run)
        for prime in PRIMES[PRIMES.index(self.field.prime) :]:
            try:
                return self.expand_over(PrimeField(prime, self.field.signs), limit, run)
            except NotASquare:
                continue
        raise OrderError(f"{self.program.name}: too many different square roots in the weights")

    def expand_over(
        self, field: PrimeField | None, limit: int, run: Callable[[Recursion], Words]
    ) -> Words:
        """Run an expansion over the rationals and surds, or modulo one prime.

        Raises:
            NotASquare: a root in the weights does not exist modulo the prime.
            OrderError: weights that cannot be expanded.
        """
        for slack in (3, 8, 20, 60):
            ring = SeriesRing(limit, self.power, slack, self.margin, field)
            grid, inner = in_blocks(self.program, self.grid(ring), self.spans)
            known = self.parameters(ring)
            linear = self.program.linear_part(known)
            step_values = StepValues(
                self.program.kappa, ring, grid, known, self.coordinate, inner, linear
            )
            try:
                return run(Recursion(step_values, limit))
            except PrecisionError:
                continue
        raise OrderError(
            f"{self.program.name}: weights or deviations lack the factor h, or are divided by too high "
            "powers of it to be expanded; `solvergen lint` names those that lack it"
        )


def defaults(program: Program) -> dict[str, Fraction]:
    """Exact default values of the parameters."""
    return {parameter.name: parameter.default for parameter in program.parameters}


@dataclass(frozen=True)
class Leading:
    """The first non-vanishing part of an expansion: Σ coef h^exponent word.

    Args:
        exponent: power of h, a fraction after a shrunk first step.
        terms: coefficient of every word.
    """

    exponent: Fraction
    terms: Mapping[Word, Scalar]


def leading(errors: Words, power: int = 1) -> Leading | None:
    """The leading part of an expansion, or ``None`` when all that is known vanishes."""
    exponents = {
        word: Fraction(value.low if isinstance(value, Series) else 0, power) + weight(word)
        for word, value in errors.items()
    }
    if not exponents:
        return None
    least = min(exponents.values())
    terms = {
        word: value.terms[0] if isinstance(value, Series) else value
        for word, value in errors.items()
        if exponents[word] == least
    }
    return Leading(least, terms)


class History:
    """Evaluations at the sites before a step, with accepted values exact.

    Args:
        recursion: the expansion.
        step_at: the kind of step that starts at a site.
        first: site of the first evaluation, at an exact value (None: no start in sight).
    """

    def __init__(
        self, recursion: Recursion, step_at: Callable[[int], Step], first: int | None = None
    ) -> None:
        self.recursion, self.step_at, self.first = recursion, step_at, first
        self.position = recursion.step_values.grid.position
        self.kept: dict[tuple[int, int], Words] = {}
        self.combined: dict[tuple[int, int, int], Words] = {}
        self.inner: dict[tuple[int, int], dict[str, Words]] = {}

    def evaluation(self, site: int, level: int) -> Words:
        """The evaluation at a site; predictors are followed `level` steps back."""
        if self.step_at(site - 1).corrector is None or site == self.first:
            level = 0
        if (site, level) not in self.kept:
            error = self.predicted(site - 1, level - 1) if level else {}
            self.kept[site, level] = self.recursion.evaluation(error, self.position(site))
        return self.kept[site, level]

    def remembered(self, site: int, level: int, back: int = FOLLOWED) -> Words:
        """What is remembered of the evaluation at a site; combinations are followed `back` steps."""
        step, found = self.step_at(site), self.evaluation(site, level)
        if not step.memory or not back:
            return found
        key = (site, level, back)
        if key not in self.combined:
            known = {"n": found}
            for depth in range(1, step.past_evaluations + 1):
                known[f"n-{depth}"] = self.remembered(site - depth, level, back - 1)
            self.combined[key] = self.recursion.remembered(step, site, known)
        return self.combined[key]

    def stages(self, site: int, back: int) -> dict[str, Words]:
        """Evaluations at the stages of the step before a site, by the names that they have there.

        They may use stages of the step before theirs. Each step further back costs a power of h, so
        that `back` of them are followed and the stages of the one before are taken as exact.
        """
        step, start = self.step_at(site - 1), site - 1
        if (site, back) not in self.inner:
            made: dict[str, Words] = {}
            if back:
                made = self.plain(start, 0)
                if stages_before(step.stages):
                    made |= self.stages(start, back - 1)
                self.recursion.stages(step, start, {}, made)
            else:
                for row in step.stages:
                    place = self.recursion.step_values.place(row.place, start)
                    made[row.name] = self.recursion.evaluation({}, place)
            self.inner[site, back] = {f"{row.name}-1": made[row.name] for row in step.stages}
        return self.inner[site, back]

    def known(self, site: int, level: int) -> dict[str, Words]:
        """Evaluations that a step starting at a site may use."""
        known = self.plain(site, level)
        if self.step_at(site).recalls:
            known |= self.stages(site, self.recursion.limit)
        return known

    def plain(self, site: int, level: int) -> dict[str, Words]:
        """Evaluations and states at grid points that a step starting at a site may use."""
        depth = self.step_at(site).history
        past = {f"n-{k}": self.remembered(site - k, level) for k in range(1, depth + 1)}
        exact: dict[str, Words] = {f"x-{k}": {} for k in range(1, depth + 1)}
        return {"n": self.remembered(site, level), **past, **exact}

    def predicted(self, site: int, level: int) -> Words:
        """The error at the end of a step, before correction."""
        return self.recursion.step(self.step_at(site), site, {}, self.known(site, level))

    def accepted(self, site: int, level: int) -> Words:
        """The effective local error of a step."""
        known = self.known(site, level)
        step = self.step_at(site)
        predicted = self.recursion.step(step, site, {}, known)
        return self.recursion.corrected(step, site, {}, known, predicted)


def predictor_error(case: Case, limit: int, site: int = 0) -> Words:
    """The local error of the main step before correction, all evaluations at exact values."""
    main = case.program.main
    return case.expand(limit, lambda r: History(r, lambda _: main).predicted(site, 0))


def local_error(case: Case, limit: int, predictor: int, site: int = 0) -> Words:
    """The effective local error of the main step from a site, for words up to a weight.

    Args:
        case: program and grid.
        limit: largest power of h kept.
        predictor: exponent of the predictor's local error. A predictor that is followed one step
            further back changes the result by one more power of h, so that few steps suffice.
        site: where the step starts.
    """
    main = case.program.main
    level = max(0, limit - predictor) if main.corrector else 0
    return case.expand(limit, lambda r: History(r, lambda _: main).accepted(site, level))


def first_error(
    expand: Callable[[int], Words], start: int = 2, stop: int = LARGEST, power: int = 1
) -> Leading | None:
    """The leading error, searched with heavier and heavier words.

    Returns:
        The leading part, or ``None`` when everything up to h^stop vanishes.
    """
    for limit in range(min(start, stop), stop + 1):
        found = leading(expand(limit), power)
        if found is not None and found.exponent <= limit:
            return found
    return None

"""From a Program to its true order: three classes of grids, start and end counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from ...algebra.explosion import Explosion, check
from ...algebra.scalar import Scalar
from ...algebra.series import coefficient
from ...errors import OrderError
from ...program.consistency import keeps_states
from ...program.model import Program
from ..expansion import grid as grids
from ..expansion.grid import ARBITRARY, CLASSES, SMOOTH, UNIFORM
from ..expansion.local_error import (
    LARGEST,
    Case,
    Leading,
    first_error,
    local_error,
    predictor_error,
)
from ..expansion.surd_errors import leading_with_roots, radicands
from ..expansion.symbol_values import (
    another_coordinate,
    generic_coordinate,
)
from ..expansion.words import Word, reading_order, spell
from ..verdict import LeadingError, Order
from .cases import Cases
from .ends import end_error, endings, shrink_exponent, start_error
from .persistence import accumulates, growth
from .report import OrderReport
from .switches import branches, switched, weakest
from .zero_stability import zero_stability

FEW = 5  # up to this weight words with stages are few: 58 of them
WITH_STAGES = 9  # heaviest words expanded for steps with stages: 4,900 of them


def analyse(
    program: Program,
    parameters: Mapping[str, Fraction] | None = None,
    symbolic: tuple[str, ...] = (),
) -> OrderReport:
    """Derive the true order of a solver.

    Orders are decided exactly at random rational step ratios, modulo a prime of 61 bits: what is
    non-zero there is non-zero, so "not p + 1" is proved. What vanishes there vanishes identically
    up to the error of Schwartz and Zippel: a coefficient of degree d in the ratios vanishes by
    accident with a chance of (d/1.5·10⁶)² at both points. Constants are expanded over the
    rationals, and in symbols, only when they are asked for.

    Grid classes refer to λ for data and noise solvers and to the clock σ/(α+σ) for velocity
    solvers, whose words then are derivatives along that clock and whose h is its (negative) step.
    λ_f is finite throughout: the step to σ = 0 is not part of the asymptotic order.

    Args:
        program: the solver.
        parameters: values that replace the defaults.
        symbolic: parameters that stay symbols; orders then hold for almost all of their values.
            Those that differ from step to step always do, each step with a symbol of its own, and
            orders are then least ones: what vanishes does so for all values.

    Returns:
        The report; `OrderReport.json` has the documented fields.

    Raises:
        OrderError: weights that cannot be expanded, with the reason.
    """
    program = program.own or program
    if not switched(program):
        return Analysis(program, parameters or {}, symbolic).report()
    ways = branches(program)
    reports = [Analysis(way.program, parameters or {}, symbolic).report() for way in ways]
    return weakest(program, ways, reports)


class Analysis:
    """One program with one choice of parameters."""

    def __init__(
        self, program: Program, parameters: Mapping[str, Fraction], symbolic: tuple[str, ...]
    ) -> None:
        if program.stochastic:
            raise OrderError(
                f"{program.name} draws noise, so it has no single order; `solvergen explain SPEC` "
                "shows those of its mean, its covariance and its path"
            )
        self.program, self.cases = program, Cases(program, parameters, symbolic)
        self.values = self.cases.values
        self.stop = WITH_STAGES if program.main.stages else LARGEST
        self.expanded: dict[tuple[str, int], Leading | None] = {}

    def case(self, kind: str, seed: int = 1) -> Case:
        """The program on a grid of a class at a generic rational point."""
        return self.cases.generic(kind, seed)

    def report(self) -> OrderReport:
        """Decide all orders."""
        local = self.local_orders()
        table = {kind: self.row(kind, local[kind]) for kind in (UNIFORM, ARBITRARY)}
        # A uniform grid is a smooth grid, and a smooth grid is an arbitrary one.
        squeezed = table[UNIFORM] == table[ARBITRARY]
        table[SMOOTH] = table[UNIFORM] if squeezed else self.row(SMOOTH, local[SMOOTH])
        if not zero_stability(self.program, self.values).stable:
            # What past states leave behind grows from step to step: nothing converges.
            table = {kind: dict.fromkeys(modes, Order(0, True)) for kind, modes in table.items()}
        elif self.program.main.past_states and (lost := growth(self)):
            # Bounded on smooth grids, past errors add up where step sizes alternate.
            table[ARBITRARY] = {
                mode: Order(max(0, order.value - lost), False)
                for mode, order in table[ARBITRARY].items()
            }
        if self.program.calls_elsewhere and self.program.calls_near:
            # An output of a level that is off by h is off by h itself, and by h^2 in a step.
            table = {
                kind: {mode: Order(min(1, order.value), False) for mode, order in modes.items()}
                for kind, modes in table.items()
            }
        elif self.program.calls_elsewhere or not keeps_states(self.program):
            # Its outputs are not those of the solution's level: nothing is kept for all factors.
            table = {kind: dict.fromkeys(modes, Order(0, False)) for kind, modes in table.items()}
        if self.cases.free:  # single values may gain an order
            table = {
                kind: {mode: replace(order, exact=False) for mode, order in modes.items()}
                for kind, modes in table.items()
            }
        return OrderReport(self.program, {kind: table[kind] for kind in CLASSES}, self)

    def row(self, kind: str, exact: Order) -> dict[str, Order]:
        """The orders of one grid class."""
        start = self.capped(kind, exact, start_error)
        end = start
        if any(endings(self.program)):
            end = self.capped(kind, start, lambda case, p: end_error(case, p, self.predictor))
        return {"exact_start": exact, "own_start": start, "own_end": end}

    # -- local errors --------------------------------------------------------------------------

    def leading(self, case: Case, exponent: int | None = None) -> Leading | None:
        """The leading effective local error of the main step; only up to `exponent` if given."""
        # An error that does not vanish with h is still found among the words of weight 1.
        start, stop = (self.likely, self.stop) if exponent is None else [max(1, exponent)] * 2
        if self.program.main.corrector is None:
            return first_error(lambda limit: predictor_error(case, limit), start, stop)
        predictor = self.predictor
        return first_error(
            lambda limit: local_error(case, limit, predictor), max(start, predictor), stop
        )

    @property
    def likely(self) -> int:
        """Where the search for a local error begins: the exponent of a rule as good as its nodes allow.

        A search that begins too high still finds a lower one, among more words than it needs.
        """
        nodes = self.program.main.history + self.program.main.evaluations
        return nodes + 1 if not self.program.main.stages else min(nodes + 1, FEW)

    @property
    def predictor(self) -> int:
        """Exponent of the predictor's local error on an arbitrary grid."""
        if not hasattr(self, "_predictor"):
            case = self.case(ARBITRARY).deciding()
            found = first_error(lambda limit: predictor_error(case, limit), self.likely, self.stop)
            self._predictor = int(found.exponent) if found else self.stop
        return self._predictor

    def local_orders(self) -> dict[str, Order]:
        """The order of the main step with exact start, per class."""
        self.found = {UNIFORM: self.leading(self.case(UNIFORM).deciding())}
        free = self.program.main.uneven
        seeds = [self.within(self.case(ARBITRARY, seed)) for seed in (1, 2)] if free else []
        uniform = self.order(self.found[UNIFORM])
        if self.cases.jets and uniform.exact:
            uniform = replace(uniform, exact=self.certain(UNIFORM, uniform.value + 1))
        arbitrary = min([uniform, *map(self.order, seeds)], key=lambda order: order.value)
        self.found[ARBITRARY] = min(
            [self.found[UNIFORM], *seeds], key=lambda part: part.exponent if part else self.stop + 1
        )
        smooth = uniform
        if arbitrary.value < uniform.value:
            self.found[SMOOTH] = self.within(self.case(SMOOTH))
            smooth = min(uniform, self.order(self.found[SMOOTH]), key=lambda order: order.value)
            if arbitrary.value < smooth.value:
                arbitrary = replace(arbitrary, exact=self.persists(arbitrary.value + 1))
        return {UNIFORM: uniform, SMOOTH: smooth, ARBITRARY: arbitrary}

    def within(self, case: Case) -> Leading | None:
        """The leading local error on grids among which the uniform ones are.

        Its power of h is at most that on uniform grids, so one expansion up to that power finds it.
        """
        case, uniform = case.deciding(), self.found[UNIFORM]
        found = self.leading(case, int(uniform.exponent)) if uniform else None
        return found or self.leading(case)

    def order(self, found: Leading | None) -> Order:
        """The order that a leading local error means."""
        return Order(max(0, int(found.exponent) - 1), True) if found else Order(self.stop, False)

    def certain(self, kind: str, exponent: int) -> bool:
        """Whether a coefficient survives whatever the further coordinate is.

        It then is the same for coordinates with generic derivatives, which is decided modulo a prime.
        """
        case = self.case(kind).deciding()
        made = [
            self.leading(replace(case, coordinate=another_coordinate(seed)), exponent)
            for seed in (1, 2, 3)
        ]
        if not all(part and part.exponent == exponent for part in made):
            return False
        first, *others = [part.terms for part in made if part]
        return any(
            all(terms.get(word) == value for terms in others) for word, value in first.items()
        )

    def persists(self, exponent: int) -> bool:
        """Whether local errors of this exponent add up on some grid with a repeating pattern.

        Otherwise they might telescope: h_n (h_{n−1} − h_n) does on smooth grids.
        """
        if self.program.main.past_states:
            lengths = (2, self.program.main.history + 2)
            return any(accumulates(self, exponent, length) for length in lengths)
        length = self.program.main.history + 2
        sizes = tuple(grids.generic_ratio(73, i) for i in range(length))
        case = replace(self.case(ARBITRARY), grid=lambda ring: grids.pattern(sizes))
        total: dict[Word, Scalar] = {}
        for site in range(length):
            for word, value in local_error(case, exponent, self.predictor, site).items():
                # In one power of h the words about different base points are the same.
                total[word] = total.get(word, Fraction(0)) + coefficient(value, 0)
        return any(total.values())

    # -- start and end -------------------------------------------------------------------------

    def capped(
        self,
        kind: str,
        before: Order,
        search: Callable[[Case, int], Leading | None],
    ) -> Order:
        """An order after the first or the last steps have been counted."""
        found = [
            search(self.case(kind, seed).deciding(), before.value)
            for seed in ((1, 2) if kind == ARBITRARY else (1,))
        ]
        orders = [before]
        for part in found:
            if part is not None and part.exponent < before.value:
                whole = part.exponent.denominator == 1
                orders.append(Order(max(0, int(part.exponent)), whole))
        return min(orders, key=lambda order: (order.value, order.exact))

    # -- constants -----------------------------------------------------------------------------

    def constants(self, kind: str) -> LeadingError:
        """The leading local error on a class of grids with exact coefficients.

        Raises:
            Explosion: expanding it would cost too much.
        """
        found = self.found.get(kind) or self.found[UNIFORM]
        if found is None:
            return LeadingError(self.stop + 1, ())
        exponent = int(found.exponent)
        free = kind != UNIFORM and self.program.main.uneven
        symbolic = bool(free or self.cases.symbolic or self.cases.jets)
        if symbolic:
            try:
                self.refuse_explosion(kind, exponent)
            except Explosion:
                if kind != UNIFORM:
                    raise
                return self.partial(exponent)
        # One step by itself is the same on both grids.
        grid = UNIFORM if kind == ARBITRARY and not free else kind
        if (grid, exponent) not in self.expanded:
            self.expanded[grid, exponent] = (
                self.leading(self.cases.symbols(grid), exponent)
                if symbolic
                else self.rational(exponent)
            )
        exact = self.expanded[grid, exponent]
        return LeadingError.of(found.exponent, exact.terms if exact else {})

    def partial(self, exponent: int) -> LeadingError:
        """The uniform leading error where it is the same for every coordinate; the other words alone."""
        case = self.case(UNIFORM)
        jets = [generic_coordinate, another_coordinate(1), another_coordinate(2)]
        made = [self.leading(replace(case, coordinate=jet), exponent) for jet in jets]
        first, *others = [part.terms if part else {} for part in made]
        words = {word for terms in (first, *others) for word in terms}
        alike = {
            word: value
            for word, value in first.items()
            if all(terms.get(word) == value for terms in others)
        }
        rest = sorted(words - set(alike), key=reading_order)
        return replace(LeadingError.of(Fraction(exponent), alike), rest=tuple(rest))

    def rational(self, exponent: int) -> Leading | None:
        """The uniform leading error without symbols, through residues where it has roots."""
        case, roots = self.case(UNIFORM), radicands(self.program)
        if roots or (roots is not None and len(self.program.main.stages) > 3):
            terms = leading_with_roots(case, roots, lambda c: self.leading(c, exponent))
            if terms is not None:
                return Leading(Fraction(exponent), terms)
        return self.leading(case, exponent)

    def refuse_explosion(self, kind: str, exponent: int) -> None:
        """Refuse an expansion in too many symbols, with its cost."""
        rational = self.found.get(kind) or self.found[UNIFORM]
        main = self.program.main
        points = main.ahead - (main.ahead >= main.spans)
        history = main.history + points if kind == ARBITRARY else 0
        if self.program.main.corrector and kind == ARBITRARY:
            history = 2 * history + 1
        if kind == UNIFORM and self.cases.jets:  # the derivatives of the further coordinates alone
            history = self.cases.jets * (exponent - 1)
        words = [spell(word) for word in rational.terms] if rational else []
        check(self.program.name, exponent, history + len(self.cases.symbolic), words)

    def shrink(self) -> Fraction:
        """The exponent of the shortened first step."""
        return shrink_exponent(self.program)

"""States that a row starts from beside accepted ones: those of stages, and a coupled second state.

The state of a stage is a combination of what the step has, so it is written out where it is used. The
second state y of a coupled pair follows from x: with

    x' = a x + b y + F        y' = c x + d y + G

of the step before, y = (x - a x_{-1} - F_{-1}) / b there gives y = c x_{-1} + d y_{-1} + G_{-1} here. A pair of
states is thus a two-step method on x that recalls the stages of the step before; orders, roots and code are
those of that method, and nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import Expr, Symbol, exp

from ..errors import DeriveError
from ..expr.arithmetic import (
    ONE,
    ZERO,
    add,
    divide,
    function_names,
    multiply,
    substitute,
    subtract,
    symbols,
)
from ..program.row import FURTHER, Place, Row, Term, depth
from ..spec.model import Rule, Solver

SECOND = "y"  # what rows call the coupled state
START = Place(ZERO)
_STEP_BEFORE = {"h": multiply(Symbol("theta1"), Symbol("h"))}


def written_out(row: Row, states: Mapping[str, Row], kappa: int | Expr) -> Row:
    """A row that starts from accepted states alone.

    Args:
        row: it may carry the states of stages, by their names, and `y`.
        states: the rows of those states, written out already.
        kappa: the linear part that the rows take out.

    Raises:
        DeriveError: a state in the gauge of another coordinate.
    """
    if not any(term.source in states for term in row.carry):
        return row
    decay, h = row.decay, Symbol("h")
    carry: dict[str, Expr] = {}
    terms = {term.source: term.weight for term in row.terms}
    for term in row.carry:
        if term.source not in states:
            carry[term.source] = add(carry.get(term.source, ZERO), term.weight)
            continue
        state, moved = states[term.source], term.weight
        if state.terms and row.terms and state.gauge != row.gauge:
            raise DeriveError(
                f"the state of `{term.source}` is in another coordinate than the row that starts from it; "
                "give both rules the same"
            )
        decay = add(decay, multiply(term.weight, state.decay))
        for past in state.carry:
            share = multiply(term.weight, past.weight)
            carry[past.source] = add(carry.get(past.source, ZERO), share)
        if state.gauge == "lambda" and kappa:
            way = subtract(row.place.lam(kappa), state.place.lam(kappa))
            moved = multiply(moved, exp(-kappa * way * h))
        for one in state.terms:
            share = multiply(moved, one.weight)
            terms[one.source] = add(terms.get(one.source, ZERO), share)
    worked = decay.expand()
    decay = worked if worked.is_Rational else decay  # what is written out may cancel
    gauge = next((s.gauge for s in states.values() if s.terms), row.gauge)
    return Row(
        row.name,
        row.place,
        row.gauge if row.terms else gauge,
        tuple(Term(source, weight) for source, weight in terms.items() if weight != ZERO),
        decay,
        row.noise,
        tuple(Term(source, weight) for source, weight in carry.items() if weight != ZERO),
        row.level,
    )


def begun(gauge: str) -> Row:
    """The second state where a run begins: it is the first one."""
    return Row(SECOND, START, gauge, ())


def second(final: Row, coupled: Row, parameters: Sequence[str]) -> Row:
    """The second state at the start of a step, from what is remembered of the step before.

    Args:
        final: the row of x at the end of a step, in x, y and evaluations.
        coupled: that of y.
        parameters: names that weights may hold beside h.

    Raises:
        DeriveError: x does not show what y was, or weights of the step before are not known.
    """
    a, b = final.decay, _share(final)
    c, d = coupled.decay, _share(coupled)
    if b == ZERO:
        raise DeriveError(
            "[step] does not depend on `y`, so that nothing couples the two states: give `y`, or a stage that "
            "starts from it, a share in its `carry`",
            ("coupled",),
        )
    if final.gauge != coupled.gauge:
        raise DeriveError(
            "[step] and [coupled] must have one coordinate; give both the same",
            ("coupled", "coordinate"),
        )
    for expression in (*final.expressions, *coupled.expressions):
        if other := symbols(expression) - {"h", *parameters}:
            raise DeriveError(
                f"with [coupled] the weights of a step serve in the next one too, where `{_shown(min(other))}` is "
                "another number; use h and parameters that are numbers of the solver",
                ("coupled",),
            )
        if not function_names(expression).isdisjoint(FURTHER):
            raise DeriveError(
                "[coupled] needs lambda or the integrand's clock as coordinate: slopes of another one are not those "
                "of the step before",
                ("coordinate",),
            )
    own = {term.source: term.weight for term in coupled.terms}
    seen = {term.source: term.weight for term in final.terms}
    weights = {
        source: _over(b, (b, own.get(source, ZERO)), (d, seen.get(source, ZERO)))
        for source in {**own, **seen}
    }
    length = Symbol("Theta1") if final.gauge == "clock" else ONE
    terms = [
        Term(f"{source}-1", multiply(length, substitute(weight, _STEP_BEFORE)))
        for source, weight in weights.items()
    ]
    kept = tuple(term for term in terms if term.weight != ZERO)
    before = substitute(_over(b, (b, c), (d, a)), _STEP_BEFORE)
    now = substitute(divide(d, b), _STEP_BEFORE)
    return Row(SECOND, START, final.gauge, kept, now, (), (Term("x-1", before),))


def check_coupled(solver: Solver) -> None:
    """Refuse what a pair of states has no place for.

    Raises:
        DeriveError: naming what to remove.
    """
    carries = any(
        state != "x" and not state.startswith("x-")
        for rule in (*(stage.rule for stage in solver.stages), solver.step)
        for state, _ in rule.carry
    )
    if carries and (solver.noise or solver.langevin):
        raise DeriveError(
            "states of stages and [noise] cannot be combined; remove [noise]", ("noise",)
        )
    if solver.coupled is None:
        return
    if any(stage.name == SECOND for stage in solver.stages):
        raise DeriveError(
            "`y` is the coupled state here; give the stage another name", ("coupled",)
        )
    if solver.start.using or solver.end.ramp or len(solver.end.using) > 1:
        where = ("start", "using") if solver.start.using else ("end",)
        raise DeriveError(
            "a pair of states begins with y = x and keeps its rule to the last step: no [start] using, no `ramp`, "
            "and one rule in [end] at most",
            where,
        )
    if solver.spans > 1 or solver.sweeps:
        raise DeriveError("[coupled] needs steps of one interval, without sweeps", ("coupled",))
    if solver.start.first:
        raise DeriveError(
            "[coupled] and `first`, the first output without a call, cannot be combined",
            ("start", "first"),
        )
    for rule in (*(stage.rule for stage in solver.stages), solver.step, solver.coupled):
        named = [*rule.nodes, *rule.states, *(s for s, _ in (*rule.weights, *rule.carry))]
        if past := [source for source in named if depth(source)]:
            raise DeriveError(
                f"[coupled] remembers the step before by itself: its rules use n, stages, x and y, found `{past[0]}`",
                rule.where,
            )


def starts_inside(rule: Rule, names: Sequence[str]) -> bool:
    """Whether a rule uses stages by their names, as evaluations or as states, or the second state."""
    used = {*rule.nodes, *(source for source, _ in (*rule.weights, *rule.carry))}
    return not used.isdisjoint({*names, SECOND})


def _over(divisor: Expr, plus: tuple[Expr, Expr], minus: tuple[Expr, Expr]) -> Expr:
    """The difference of two products over a divisor, with what cancels in it gone."""
    return divide(subtract(multiply(*plus), multiply(*minus)).expand(), divisor)


def _share(row: Row) -> Expr:
    """The factor on y."""
    return add(*(term.weight for term in row.carry if term.source == SECOND))


def _shown(symbol: str) -> str:
    """A symbol of weights as specs name it."""
    return symbol.replace("theta", "r").replace("Theta", "r") if symbol[-1:].isdigit() else symbol

"""A linear part of the solver's own, which steps take out exactly in place of that of the integrand.

With u' = −κu + N and any number ℓ, G = N + (ℓ − κ)u makes it u' = −ℓu + G, and rules may as well approximate
G: with ℓ = 0 they are plain methods on u in λ. Since N is any smooth function of λ and u, so is G: orders are
those of rows in G that take out ℓ. What is run are the same rows in model outputs and states: N_j + (ℓ − κ)u_j
in the place of each G_j, which makes past evaluations past states, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sympy import Expr, Symbol, exp

from ..errors import DeriveError
from ..expr.arithmetic import ZERO, add, multiply, subtract, symbols
from ..expr.functions import lift
from ..program.model import Program
from ..program.row import KAPPA, Place, Row, Term, depth
from ..program.step import Step
from ..spec.model import Solver
from ..spec.text.locate import Path as KeyPath
from .coupled import written_out
from .weights.coordinates import further

_H = Symbol("h")
_WHERE = ("linear",)


def own_linear(solver: Solver) -> Expr | None:
    """The linear part of a solver where it is not that of its integrand.

    Raises:
        DeriveError: beside something that it does not go with; says what to remove.
    """
    if solver.linear is None:
        return None
    if solver.integrand == "velocity":
        raise DeriveError(
            "velocity is plain in its clock and has no linear part; integrate data or noise, or remove `linear`",
            _WHERE,
        )
    if solver.linear == lift(KAPPA[solver.integrand]):
        return None
    beside = {
        "noise": solver.noise,
        "langevin": solver.langevin,
        "coupled": solver.coupled,
        "call": solver.call,
    }
    for name, table in beside.items():
        if table is not None:
            raise DeriveError(f"`linear` and [{name}] cannot be combined; remove one", _WHERE)
    if solver.start.first:
        raise DeriveError(
            "`linear` and `first`, the first output without a call, cannot be combined; remove one",
            _WHERE,
        )
    if solver.corrector and solver.corrector.mode == "PEC":
        raise DeriveError(
            "with a PEC corrector the model is called at predicted states, which are not kept, and a linear part "
            'of its own needs them; write mode = "PECE"',
            ("corrector", "mode"),
        )
    steps = [p.name for p in solver.parameters if p.per and p.name in symbols(solver.linear)]
    if steps:
        raise DeriveError(
            f"the linear part is one number of the solver, and `{steps[0]}` differs from step to step",
            _WHERE,
        )
    return solver.linear


def in_lambda(place: Place, integrand: str, where: KeyPath) -> Place:
    """A place of a step as a fraction of it in λ.

    Raises:
        DeriveError: a place in a coordinate beside λ and the clocks.
    """
    if further(place):
        raise DeriveError(
            "a solver with a linear part of its own has its stages in lambda, rho or s; write "
            'place = "lambda"',
            where,
        )
    return Place(place.lam(KAPPA[integrand])) if place.coordinate == "clock" else place


def serving(solver: Solver, linear: Expr | None) -> Solver:
    """A solver that serves in another one, with that one's linear part.

    Raises:
        DeriveError: it has one of its own, and another.
    """
    if solver.linear not in (None, linear):
        raise DeriveError(
            f"`{solver.name}` cannot serve here: it takes out a linear part of its own"
        )
    return replace(solver, linear=linear)


def as_run(own: Program) -> Program:
    """A program in G and its linear part as rows in model outputs and states, which can be run."""
    assert own.linear is not None
    linear, kappa = own.linear, own.kappa
    made: dict[int, Step] = {}

    def step(one: Step) -> Step:
        if id(one) not in made:
            made[id(one)] = _step(one, linear, kappa)
        return made[id(one)]

    main, embedded = step(own.main), own.embedded
    if embedded is not None:
        states = {row.name: row for row in main.stages}
        embedded = _row(
            embedded, {row.name: row.place for row in main.stages}, states, linear, kappa
        )
    return replace(
        own,
        main=main,
        start=tuple(map(step, own.start)),
        end=tuple(map(step, own.end)),
        remainder=tuple(tuple(map(step, rest)) for rest in own.remainder),
        embedded=embedded,
        linear=None,
        own=own,
    )


def _step(step: Step, linear: Expr, kappa: int) -> Step:
    if step.recalls:
        raise DeriveError(
            f"`{step.recalls[0]}-1` is a stage of the step before, whose state is not kept, and a linear part of its "
            "own needs it; remove that node, or `linear`",
            _WHERE,
        )
    states: dict[str, Row] = {}
    places = {row.name: row.place for row in step.stages}
    for row in step.stages:
        states[row.name] = _row(row, places, states, linear, kappa)
    final = _row(step.final, places, states, linear, kappa)
    return replace(step, stages=tuple(states.values()), final=final)


def _row(
    row: Row, places: Mapping[str, Place], states: Mapping[str, Row], linear: Expr, kappa: int
) -> Row:
    """u_c = Σ d_k e^{−ℓ(c−c_k)h} u_k + Σ w_j G_j with u_j in the place of each G_j beside N_j.

    The factors of a row stand beside e^{−κ(c−c_k)h}, so that the first sum has d_k e^{(κ−ℓ)(c−c_k)h} and the
    second gives (ℓ − κ) w_j e^{κ(c−c_j)h}.
    """
    excess, c = subtract(linear, lift(kappa)), row.place.lam(kappa)
    factors: dict[str, Expr] = {}

    def gain(state: str, factor: Expr, rate: Expr) -> None:
        moved = multiply(factor, exp(multiply(rate, _way(state, c, places), _H)))
        factors[state] = add(factors.get(state, ZERO), moved)

    for state, factor in (("x", row.decay), *((term.source, term.weight) for term in row.carry)):
        gain(state, factor, multiply(lift(-1), excess))
    for term in row.terms:
        state = term.source.replace("n", "x", 1) if _of_grid(term.source) else term.source
        gain(state, multiply(excess, term.weight), lift(kappa))
    decay = factors.pop("x")
    carry = tuple(Term(state, factor) for state, factor in factors.items() if factor != ZERO)
    return written_out(replace(row, decay=decay, carry=carry), states, kappa)


def _of_grid(source: str) -> bool:
    return source == "n" or source.startswith("n-")


def _way(state: str, c: Expr, places: Mapping[str, Place]) -> Expr:
    """From the place of a state to c, as a fraction of the step in λ."""
    if state in places:
        return subtract(c, places[state].lam(0))
    return add(c, Symbol(f"theta{depth(state)}")) if depth(state) else c

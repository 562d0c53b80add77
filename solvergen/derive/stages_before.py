"""Stages of the step before as evaluations: where they lie, and what a solver with them must keep to.

Peer methods and two-step Runge-Kutta methods use them: their evaluations lie inside the step before, at
the same fractions of it as the stages of this step.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr, Symbol

from ..errors import DeriveError
from ..expr import functions as of_step
from ..expr.arithmetic import ONE, add, multiply, negative, substitute, subtract, symbols
from ..program.row import KAPPA, Place
from ..program.step import Step
from ..spec.model import Solver
from .weights.coordinates import Coordinate, further, offset

_MOVED = (
    "a stage of the step before that lies at a fraction of the step in sigma or t is a node of rules in "
    'that coordinate only; give the stage place = "lambda" or this rule that coordinate'
)
_STEP_BEFORE = {"h": multiply(Symbol("theta1"), Symbol("h"))}


def offset_before(coordinate: Coordinate, place: Place, integrand: str, frozen: bool) -> Expr:
    """Offset of a place of the step before in a coordinate, in units of this step.

    Raises:
        DeriveError: a place that is a fraction of the step in sigma or t, asked for in another variable.

    A stage at the fraction c of a step that is r times as long lies at -r + r c.

    >>> from .weights.coordinates import resolve
    >>> from sympy import Rational
    >>> offset_before(resolve("lambda", "data", None), Place(Rational(1, 2)), "data", False)
    -theta1/2
    """
    inside = offset(coordinate, place, integrand)
    if frozen:
        return subtract(inside, ONE)
    length = Symbol(f"{coordinate.offsets}1")
    if coordinate.kind == "other" and not further(place) and not place.is_end:
        return coordinate.function(of_step.offset, lam_before(place, integrand))
    if further(place) not in (0, coordinate.number):
        raise DeriveError(_MOVED)
    return multiply(length, subtract(substitute(inside, _STEP_BEFORE), ONE))


def lam_before(place: Place, integrand: str) -> Expr:
    """A place of the step before as a fraction of this step in lambda, counted from its start."""
    if further(place):
        raise DeriveError(_MOVED)
    theta = Symbol("theta1")
    inside = substitute(place.lam(KAPPA[integrand]), _STEP_BEFORE)
    return add(negative(theta), multiply(theta, inside))


def check_stages_before(
    solver: Solver, main: Step, start: Sequence[Step], end: Sequence[Step]
) -> None:
    """Every step that another follows has the stages that it may ask for, at the same places.

    Raises:
        DeriveError: what stands in the way.
    """
    asked = {name for step in (main, *start, *end) for name in step.recalls}
    if not asked:
        return
    where = ("step",)
    if solver.noise or solver.langevin:
        raise DeriveError("stages of the step before do not go with noise; remove [noise]", where)
    if solver.corrector and solver.corrector.mode == "PEC":
        raise DeriveError(
            "with a PEC corrector the stages of the step before would have to be kept for two steps; "
            'write mode = "PECE"',
            ("corrector", "mode"),
        )
    varying = {p.name for p in solver.parameters if p.per}
    stages = {row.name: (k, row.place) for k, row in enumerate(main.stages)}
    for name in sorted(asked):
        if name not in stages:
            raise DeriveError(
                f"a first or last step uses the stage `{name}` of the step before, and the main step has "
                "no stage of that name",
                ("start", "using"),
            )
        if moving := symbols(stages[name][1].fraction) & varying:
            raise DeriveError(
                f"the place of `{name}` changes from step to step with `{min(moving)}`, so that "
                f"`{name}-1` lies at another fraction; use a number of its own",
                where,
            )
    for step in (*start, *end[:-1]):
        found = {row.name: (k, row.place) for k, row in enumerate(step.stages)}
        for name in sorted(asked):
            if found.get(name) != stages[name]:
                raise DeriveError(
                    f"the step `{step.label}` has no stage `{name}` at the place of that of the main step, "
                    f"and the step after it may need `{name}-1`; name a solver that has, or leave "
                    "[start] out: the first step then uses the nodes that exist",
                    ("start", "using"),
                )

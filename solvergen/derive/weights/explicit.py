"""Explicit weights: what their names stand for, and the terms that they make."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Symbol

from ...errors import DeriveError
from ...expr import functions as of_step
from ...expr.arithmetic import ONE, ZERO, add, multiply, substitute
from ...expr.functions import lift
from ...expr.printing import show
from ...program.consistency import is_one
from ...program.row import KAPPA, Place, Term, depth, recalled
from ...spec.model import Rule
from ...spec.names import MAX_STEPS, ratio
from ..context import Context, require
from ..stages_before import lam_before
from .coordinates import Coordinate, offset


def meanings(rule: Rule, coordinate: Coordinate, context: Context) -> dict[str, Expr]:
    """What κ and the step ratios of explicit expressions stand for."""
    values: dict[str, Expr] = {
        "kappa": context.kappa if isinstance(context.kappa, Expr) else lift(context.kappa)
    }
    for k in range(1, MAX_STEPS + 1):
        values[f"ratio{k}"] = ONE if rule.frozen else ratio(coordinate.offsets, k)
        point = Place(Symbol(f"gamma{k}"), "grid")
        values[f"ahead{k}"] = offset(coordinate, point, context.integrand)
    return values


def explicit(
    rule: Rule,
    coordinate: Coordinate,
    stages: Mapping[str, Place],
    context: Context,
    reach: int | None,
) -> list[Term]:
    """The terms of explicit weights, which must all exist."""
    values = meanings(rule, coordinate, context)
    terms = []
    for source, weight in rule.weights:
        require(source, stages, rule, context)
        if reach is not None and depth(source) > reach:
            raise DeriveError(
                f"explicit weights use `{source}` before it exists and cannot be shortened; say in "
                "[start] using = […] which solvers take the first steps",
                (*rule.where, "weights"),
            )
        try:
            slope = _slope(source, coordinate, stages, context)
            terms.append(Term(source, multiply(slope, substitute(weight, values))))
        except ZeroDivisionError:
            raise DeriveError(f"the weight of `{source}` divides by zero", rule.where) from None
    return terms


def _slope(
    source: str, coordinate: Coordinate, stages: Mapping[str, Place], context: Context
) -> Expr:
    """What turns a weight on dx/dy into one on the clock's derivative: d(clock)/dy at the node."""
    if coordinate.kind != "other":
        return ONE
    if source == "n":
        at = ZERO
    elif recalled(source):
        at = lam_before(context.before[recalled(source)], context.integrand)
    elif source in stages:
        at = stages[source].lam(KAPPA[context.integrand])
    else:
        at = -Symbol(f"theta{depth(source)}")
    return coordinate.function(of_step.slope, at)


def carried(
    rule: Rule,
    coordinate: Coordinate,
    stages: Mapping[str, Place],
    context: Context,
    reach: int | None,
) -> list[Term]:
    """The states that explicit weights start from, whose factors must sum to 1."""
    values = meanings(rule, coordinate, context)
    for source, _ in rule.carry:
        if source in stages or source == "x" or depth(source) or source == "y" and context.coupled:
            continue
        known = ", ".join(("x", "x-1", *["y"] * context.coupled, *stages))
        remedy = "; a second state needs [coupled]" if source == "y" else ""
        raise DeriveError(
            f"`{source}` is not a state before this row; known here: {known}{remedy}",
            (*rule.where, "carry"),
        )
    if reach is not None and any(depth(source) > reach for source, _ in rule.carry):
        raise DeriveError(
            "explicit weights carry a state from before the start and cannot be shortened; say in "
            "[start] using = […] which solvers take the first steps",
            (*rule.where, "carry"),
        )
    found = [Term(source, substitute(weight, values)) for source, weight in rule.carry]
    defaults = {p.name: p.default for p in context.parameters}
    total = add(*(term.weight for term in found))
    try:
        kept = not found or is_one(total, defaults)
    except (ValueError, ArithmeticError):
        raise DeriveError(
            f"the factors on the states have no real value: their sum is {show(total)}",
            (*rule.where, "carry"),
        ) from None
    if not kept:
        raise DeriveError(
            f"the factors on the states must sum to 1, or a state without model output is not kept; "
            f"their sum is {show(total)}",
            (*rule.where, "carry"),
        )
    return found

"""One rule, one place, the nodes at hand: exact weights."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Rational, Symbol

from ..errors import DeriveError
from ..expr.arithmetic import ONE, ZERO, add, multiply, substitute, subtract
from ..expr.functions import lift
from ..program.row import KAPPA, Draw, Place, Row, Term, depth, recalled
from ..spec.model import Rule
from ..spec.names import MAX_STEPS
from .context import Context, require
from .stages_before import offset_before
from .weights.coordinates import Coordinate, moments, offset
from .weights.explicit import carried, explicit, meanings
from .weights.hermite import hermite
from .weights.lagrange import lagrange, power_values

MAX_NODES = MAX_STEPS + 1  # each node doubles the terms of a basis with symbolic places


def row_of_rule(
    rule: Rule,
    place: Place,
    stages: Mapping[str, Place],
    context: Context,
    reach: int | None = None,
    name: str = "",
) -> Row:
    """The row of a rule that ends at a place.

    Args:
        rule: the rule.
        place: where in the step its result lies.
        stages: places of the evaluations already made inside the step (and of ``n+1``).
        context: integrand, coordinate and schedule.
        reach: how many past evaluations exist; older nodes are left out (interpolants only).
        name: name of the row.

    Raises:
        DeriveError: a node that does not exist yet, nodes that coincide, or weights that cannot be
            shortened.
    """
    coordinate = context.resolve(rule)
    states: list[Term] = []
    try:
        if rule.kind == "weights":
            terms = explicit(rule, coordinate, stages, context, reach)
            states = carried(rule, coordinate, stages, context, reach)
        elif rule.states:
            states, terms = _through_states(rule, place, coordinate, stages, context, reach)
        else:
            terms = _interpolatory(rule, place, coordinate, stages, context, reach)
    except DeriveError as error:
        raise DeriveError(error.message, error.where or rule.where) from None
    kept = tuple(term for term in terms if term.weight != ZERO)
    values = meanings(rule, coordinate, context)
    decay = ONE if rule.decay is None else substitute(rule.decay, values)
    draws = tuple(Draw(draw, substitute(weight, values)) for draw, weight in rule.noise)
    if states:
        decay = add(*(term.weight for term in states if term.source == "x"))
    carry = tuple(term for term in states if term.source != "x" and term.weight != ZERO)
    return Row(name, place, coordinate.gauge, kept, decay, draws, carry)


def _through_states(
    rule: Rule,
    place: Place,
    coordinate: Coordinate,
    stages: Mapping[str, Place],
    context: Context,
    reach: int | None,
) -> tuple[list[Term], list[Term]]:
    """Factors on accepted states and weights of a rule that interpolates both."""
    if coordinate.kind != "clock":
        raise DeriveError(
            "a rule through several states works in the integrand's clock; write coordinate = "
            '"clock"',
            (*rule.where, "states"),
        )
    for node in rule.nodes:
        require(node, stages, rule, context)
    states = [name for name in rule.states if reach is None or depth(name) <= reach]
    nodes = [node for node in rule.nodes if reach is None or depth(node) <= reach]
    if not states or not nodes:
        raise DeriveError(
            "none of the states or nodes of this rule exists in the first steps; say in [start] "
            "using = […] which solvers take them",
            (*rule.where, "nodes" if states else "states"),
        )
    offsets = [_offset(node, coordinate, stages, context, rule.frozen) for node in nodes]
    _refuse_coinciding(nodes, offsets, context, rule)
    # A state lies where the evaluation of its step does.
    starts = [
        _offset(name.replace("x", "n"), coordinate, stages, context, rule.frozen) for name in states
    ]
    factors, weights = hermite(starts, offsets, place.clock(KAPPA[context.integrand]))
    return list(map(Term, states, factors)), list(map(Term, nodes, weights))


def _interpolatory(
    rule: Rule,
    place: Place,
    coordinate: Coordinate,
    stages: Mapping[str, Place],
    context: Context,
    reach: int | None,
) -> list[Term]:
    if len(rule.nodes) > MAX_NODES:
        raise DeriveError(
            f"{len(rule.nodes)} nodes in one interpolant; at most {MAX_NODES} are expanded",
            (*rule.where, "nodes"),
        )
    for node in rule.nodes:
        require(node, stages, rule, context)
    nodes = [node for node in rule.nodes if reach is None or depth(node) <= reach]
    if not nodes:
        raise DeriveError(
            f"none of the nodes {', '.join(rule.nodes)} exists in the first steps; add `n` or say "
            "in [start] using = […] which solvers take them",
            (*rule.where, "nodes"),
        )
    offsets = [_offset(node, coordinate, stages, context, rule.frozen) for node in nodes]
    _refuse_coinciding(nodes, offsets, context, rule)
    bases = lagrange(offsets)
    scale, values = _functional(rule, place, coordinate, context, len(nodes))
    weights = [basis.against(values, scale) for basis in bases]
    beside = _deviations(rule, coordinate, stages, context, reach)
    for term, at in beside:  # N at its node less the polynomial there
        powers = power_values(at, len(nodes))
        read = [multiply(term.weight, basis.against(powers)) for basis in bases]
        weights = [subtract(weight, value) for weight, value in zip(weights, read, strict=True)]
    return [*map(Term, nodes, weights), *(term for term, _ in beside)]


def _deviations(
    rule: Rule,
    coordinate: Coordinate,
    stages: Mapping[str, Place],
    context: Context,
    reach: int | None,
) -> list[tuple[Term, Expr]]:
    """Evaluations that count by how far they lie from the polynomial, and their offsets.

    Past ones that do not exist yet are left out, as nodes are.
    """
    values = meanings(rule, coordinate, context)
    found = []
    for source, weight in rule.deviations:
        require(source, stages, rule, context)
        if reach is None or depth(source) <= reach:
            at = _offset(source, coordinate, stages, context, rule.frozen)
            found.append((Term(source, substitute(weight, values)), at))
    return found


def _functional(
    rule: Rule, place: Place, coordinate: Coordinate, context: Context, count: int
) -> tuple[Expr, list[Expr]]:
    """What the rule does to ξ^0 … ξ^{count−1}: integrate, read at a point, or cut a Taylor series."""
    scale, exact = moments(coordinate, place, context.kappa, count)
    if rule.kind == "mean-value":
        # One-point quadrature: (∫ weight) · scale · f̂(θ), θ a fraction of the part integrated over.
        theta = rule.theta if rule.theta is not None else Rational(1, 2)
        at = multiply(theta, offset(coordinate, place, context.integrand))
        total = multiply(scale, exact[0], rule.scale if rule.scale is not None else ONE)
        return total, power_values(at, count)
    if rule.kind == "taylor":
        degree = min(_degree(rule), count - 1)
        factors = list(rule.factors) or [ONE] * (degree + 1)
        return scale, [
            multiply(factors[m], exact[m]) if m <= degree else ZERO for m in range(count)
        ]
    return scale, exact


def _degree(rule: Rule) -> int:
    """The degree of a Taylor rule, checked against its nodes and factors."""
    degree = rule.degree or 0
    if not 0 <= degree < len(rule.nodes):
        raise DeriveError(
            f"degree {degree} needs {degree + 1} nodes, found {len(rule.nodes)}",
            (*rule.where, "degree"),
        )
    if rule.factors and len(rule.factors) != degree + 1:
        raise DeriveError(
            f"degree {degree} has {degree + 1} terms, found {len(rule.factors)} factors",
            (*rule.where, "factors"),
        )
    return degree


def _offset(
    node: str,
    coordinate: Coordinate,
    stages: Mapping[str, Place],
    context: Context,
    frozen: bool,
) -> Expr:
    if node == "n":
        return ZERO
    if node in stages:
        return offset(coordinate, stages[node], context.integrand)
    if stage := recalled(node):
        return offset_before(coordinate, context.before[stage], context.integrand, frozen)
    back = depth(node)
    return lift(-back) if frozen else -Symbol(f"{coordinate.offsets}{back}")


def _refuse_coinciding(nodes: list[str], offsets: list[Expr], context: Context, rule: Rule) -> None:
    """Two nodes at one place, as written or at the parameters' defaults, have no interpolant."""
    defaults: dict[str, Expr] = {p.name: lift(p.default) for p in context.parameters}
    for i, first in enumerate(offsets):
        for j in range(i):
            try:
                gap = substitute(subtract(first, offsets[j]), defaults)
            except ZeroDivisionError:
                gap = ZERO
            if gap == ZERO:
                raise DeriveError(
                    f"nodes `{nodes[j]}` and `{nodes[i]}` coincide (at the default parameters); "
                    "an interpolant needs distinct nodes",
                    (*rule.where, "nodes"),
                )
